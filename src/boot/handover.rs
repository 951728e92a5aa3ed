//! What one process hands to the next: listening sockets, and the locks of what one gateway may use at a time.
//!
//! They come from the process before this one, over a socket that is this one's standard input, or from systemd
//! (`LISTEN_FDS`), or are made here. Invariant: an address is listened on, and a lock is held, by one of the processes at
//! any time, so that no client is refused and no stranger takes its place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use parking_lot::Mutex;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::{BootError, system};

/// Says to a process that its standard input is the process before it.
pub const SUCCEEDS: &str = "TOLLGATE_SUCCEEDS";

/// What a process says when it could serve; else it says why it does not.
pub const READY: &str = "ready\n";

/// The answer that lets it serve; if it is not to, the socket is closed without one.
pub const GO: &str = "go\n";

/// Most descriptors that are handed over; the kernel takes 253 at once.
const MOST_DESCRIPTORS: usize = 128;

/// Most bytes of their names, all together.
const MOST_NAME_BYTES: usize = 64 << 10;

/// Descriptors by name: `tcp 127.0.0.1:8080`, `lock /var/lib/tollgate/journal/lock`.
type Named = BTreeMap<String, OwnedFd>;

/// What this process was handed, and what it will hand on.
#[derive(Default)]
pub struct Handover {
    received: Mutex<Named>,
    kept: Mutex<Named>,
    before: Option<UnixStream>,
}

impl Handover {
    /// Takes what is handed to this process; nothing, if it was just started. To be called before there are threads.
    ///
    /// # Errors
    /// What was handed over cannot be read.
    pub fn receive() -> Result<Handover, BootError> {
        if std::env::var_os(SUCCEEDS).is_none() {
            let received = Mutex::new(activated()?);
            return Ok(Handover {
                received,
                ..Handover::default()
            });
        }
        let taken = || -> io::Result<Handover> {
            let before = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
            rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
            let received = Mutex::new(receive(&before)?);
            Ok(Handover {
                received,
                before: Some(before),
                ..Handover::default()
            })
        };
        taken().map_err(system(
            "nothing can be taken over: the environment has TOLLGATE_SUCCEEDS, which only `tollgate upgrade` sets",
        ))
    }

    /// Returns whether there is a process before this one, which goes on until this one is ready.
    pub fn succeeds(&self) -> bool {
        self.before.is_some()
    }

    /// Listens on an address, or goes on listening. The socket does not block.
    ///
    /// # Errors
    /// The address cannot be listened on; `setting` is where it stands.
    pub fn listen(
        &self,
        address: SocketAddr,
        setting: &'static str,
    ) -> Result<TcpListener, BootError> {
        let failed = |source| BootError::Listen {
            address,
            setting,
            source,
        };
        let name = format!("tcp {address}");
        let listener = match self.received.lock().remove(&name) {
            Some(handed) => TcpListener::from(handed),
            None => TcpListener::bind(address).map_err(failed)?,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let kept = listener.try_clone().map_err(failed)?;
        self.kept.lock().insert(name, kept.into());
        Ok(listener)
    }

    /// Returns the lock at this path, if the process before this one holds it.
    pub fn lock(&self, path: &Path) -> Option<File> {
        let handed = self.received.lock().remove(&lock_name(path))?;
        Some(handed.into())
    }

    /// Hands this lock on to the next process.
    pub fn keep_lock(&self, path: &Path, lock: File) {
        self.kept.lock().insert(lock_name(path), lock.into());
    }

    /// Closes what was handed over and is not wanted.
    pub fn close_rest(&self) {
        for (name, _) in std::mem::take(&mut *self.received.lock()) {
            log::warn!(
                "the configuration does not name `{name}`, which was handed over: it is closed"
            );
        }
    }

    /// Closes this process's own copies of what was handed on.
    pub fn let_go(&self) {
        self.kept.lock().clear();
    }

    /// Sends what is kept to the process at the other end.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&self, to: &UnixStream) -> io::Result<()> {
        let kept = self.kept.lock();
        let mut names = kept.keys().cloned().collect::<Vec<_>>().join("\n");
        names.push_str("\n\n");
        if kept.len() > MOST_DESCRIPTORS || names.len() > MOST_NAME_BYTES {
            return Err(io::Error::other(
                "there are more listeners than can be handed over",
            ));
        }
        let handed: Vec<_> = kept.values().map(OwnedFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !handed.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&handed)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let text = [IoSlice::new(names.as_bytes())];
        let sent = sendmsg(to, &text, &mut ancillary, SendFlags::empty())?;
        let mut to = to;
        to.write_all(&names.as_bytes()[sent..])
    }

    /// Tells the process before this one that this one can serve, and waits until that one lets it. Returns at once if there
    /// is none.
    ///
    /// # Errors
    /// The process before has ended without a word.
    pub fn ready(&self) -> Result<(), BootError> {
        let Some(mut before) = self.before.as_ref() else {
            return Ok(());
        };
        let mut answer = [0; GO.len()];
        let answered = before.write_all(READY.as_bytes());
        answered
            .and_then(|()| before.read_exact(&mut answer))
            .map_err(system("the process before this one has ended meanwhile"))
    }

    /// Tells the process before this one why this one does not serve, if there is one.
    pub fn fail(&self, why: &BootError) {
        if let Some(mut before) = self.before.as_ref()
            && let Err(error) = before.write_all(why.to_string().as_bytes())
        {
            log::warn!("the process before this one has ended: {error}");
        }
    }
}

fn lock_name(path: &Path) -> String {
    format!("lock {}", path.display())
}

/// The sockets that systemd listens on for this process.
fn activated() -> Result<Named, BootError> {
    let mut sockets = listenfd::ListenFd::from_env();
    let count = sockets.len();
    let take = |index| -> io::Result<Option<(String, OwnedFd)>> {
        let socket = sockets.take_tcp_listener(index)?;
        let named = socket.map(|socket| {
            let name = format!("tcp {}", socket.local_addr()?);
            io::Result::Ok((name, OwnedFd::from(socket)))
        });
        named.transpose()
    };
    let all: io::Result<Vec<_>> = (0..count).map(take).collect();
    let all = all.map_err(system("a socket of systemd's is no TCP listener"))?;
    Ok(all.into_iter().flatten().collect())
}

fn receive(from: &UnixStream) -> io::Result<Named> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut text = vec![0; MOST_NAME_BYTES];
    let mut into = [IoSliceMut::new(&mut text)];
    let got = recvmsg(from, &mut into, &mut ancillary, RecvFlags::empty())?;
    let mut handed = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            handed.extend(descriptors);
        }
    }
    for descriptor in &handed {
        // Not every system does it as it hands them over.
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
    }
    let mut length = got.bytes;
    let mut from = from;
    while length > 0 && !text[..length].ends_with(b"\n\n") {
        match from.read(&mut text[length..])? {
            0 => break,
            more => length += more,
        }
    }
    let text = std::str::from_utf8(&text[..length]).map_err(io::Error::other)?;
    let names: Vec<_> = text.lines().filter(|name| !name.is_empty()).collect();
    if !text.ends_with("\n\n") || names.len() != handed.len() {
        return Err(io::Error::other("it was handed over in part only"));
    }
    Ok(names.into_iter().map(str::to_owned).zip(handed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_locks_reach_the_other_process_by_name() {
        let before = Handover::default();
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = before.listen(any, "proxy.listen").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = File::create(&path).unwrap();
        lock.lock().unwrap();
        before.keep_lock(&path, lock);
        let (ours, theirs) = UnixStream::pair().unwrap();
        before.send(&ours).unwrap();
        let next = Handover {
            received: Mutex::new(receive(&theirs).unwrap()),
            before: Some(theirs),
            ..Handover::default()
        };
        let same = next.listen(any, "proxy.listen").unwrap();
        assert_eq!(same.local_addr().unwrap(), listener.local_addr().unwrap());
        let lock = next.lock(&path).unwrap();
        assert!(next.lock(&path).is_none(), "it is handed over once");
        before.let_go();
        let stranger = || File::open(&path).unwrap().try_lock().is_err();
        assert!(stranger(), "it is held all the while");
        drop(lock);
        assert!(!stranger());
        (&ours).write_all(GO.as_bytes()).unwrap();
        next.ready().unwrap();
        drop(ours);
        assert!(next.ready().is_err(), "there is none before it any more");
    }

    #[test]
    fn what_comes_in_part_is_refused() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(b"tcp 127.0.0.1:80\n\n").unwrap();
        assert!(receive(&theirs).is_err(), "a name without a descriptor");
        drop(ours);
        assert!(receive(&theirs).is_err(), "nothing");
    }
}
