//! Whose turn it is, and what is not done.

use std::sync::mpsc;

use super::*;

/// A room whose one thread is busy until the sender is dropped.
async fn busy() -> (Arc<Room>, mpsc::Sender<()>) {
    let room = Room::open(1).unwrap();
    let (end, held) = mpsc::channel::<()>();
    let (begins, began) = oneshot::channel();
    let aside = room.of(&"busy".into());
    let work = move || {
        begins.send(()).ok();
        held.recv().ok();
    };
    tokio::spawn(async move { aside.run(work).await });
    began.await.unwrap();
    (room, end)
}

/// Has `name` noted when the account's turn comes.
fn note(
    room: &Arc<Room>,
    account: &str,
    noted: &Arc<Mutex<Vec<String>>>,
) -> impl Future<Output = Result<(), Undone>> + use<> {
    let (aside, noted, name) = (room.of(&account.into()), noted.clone(), account.to_owned());
    let (done, result) = oneshot::channel();
    let work = move || noted.lock().push(name);
    let work = Box::new(Piece { work, done });
    aside.room.waiting.lock().add(&aside.account, work);
    aside.room.more.notify_one();
    async move { result.await.map_err(|_| Undone) }
}

#[tokio::test]
async fn accounts_take_turns_whoever_has_most_to_do() {
    let (room, end) = busy().await;
    let noted = Arc::default();
    let greedy: Vec<_> = (0..20).map(|_| note(&room, "greedy", &noted)).collect();
    let modest: Vec<_> = ["a", "b"].map(|name| note(&room, name, &noted)).into();
    drop(end);
    for work in greedy.into_iter().chain(modest) {
        work.await.unwrap();
    }
    assert_eq!(noted.lock()[..4], ["greedy", "a", "b", "greedy"]);
    assert_eq!(noted.lock().len(), 22);
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_begun() {
    let (room, end) = busy().await;
    let noted = Arc::default();
    let left: Vec<_> = (0..MOST_WAITING)
        .map(|_| note(&room, "a", &noted))
        .collect();
    let a = room.of(&"a".into());
    assert!(a.has_room().is_err());
    drop(left);
    assert!(a.has_room().is_ok());
    let stays = note(&room, "a", &noted);
    drop(end);
    stays.await.unwrap();
    assert_eq!(*noted.lock(), ["a"]);
}

#[tokio::test]
async fn who_gives_up_what_waits_gets_no_second_turn() {
    let (room, end) = busy().await;
    let noted = Arc::default();
    let left: Vec<_> = (0..MOST_WAITING)
        .map(|_| note(&room, "greedy", &noted))
        .collect();
    drop(left);
    assert!(room.of(&"greedy".into()).has_room().is_ok());
    let stays: Vec<_> = ["greedy", "greedy", "a"]
        .map(|name| note(&room, name, &noted))
        .into();
    drop(end);
    for work in stays {
        work.await.unwrap();
    }
    assert_eq!(*noted.lock(), ["greedy", "a", "greedy"]);
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_work_goes_on() {
    let room = Room::open(1).unwrap();
    let aside = room.of(&"a".into());
    for _ in 0..3 {
        assert!(aside.run(|| panic!("on purpose")).await.is_err());
        assert_eq!(aside.run(|| 7).await.unwrap(), 7);
    }
}
