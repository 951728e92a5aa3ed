use super::*;
use std::fs;

struct Bench {
    dir: tempfile::TempDir,
    loads: Receiver<Result<Config, Faults>>,
    watcher: Watcher,
}

fn total(seconds: u64) -> String {
    format!("timeouts: {{ total: {seconds}s }}\n")
}

impl Bench {
    fn start(prepare: impl FnOnce(&Path)) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let file = dir.path().join("t.yaml");
        let (_, files) = WatchedFiles::load(&file, Arc::new(|_| None)).unwrap();
        Bench::of(dir, files)
    }

    fn of(dir: tempfile::TempDir, files: WatchedFiles) -> Bench {
        let (sender, loads) = mpsc::channel();
        let watcher = Watcher::start(files, move |result| sender.send(result).unwrap());
        Bench {
            dir,
            loads,
            watcher: watcher.unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn next(&self) -> Result<Config, Faults> {
        self.loads
            .recv_timeout(Duration::from_secs(9))
            .expect("a load before the idle look")
    }

    fn next_total(&self) -> u64 {
        self.next().unwrap().timeouts.total.as_secs()
    }
}

#[test]
fn a_change_a_fault_and_its_repair_are_each_reported() {
    let bench = Bench::start(|dir| fs::write(dir.join("t.yaml"), total(100)).unwrap());
    fs::write(bench.file("t.yaml"), total(101)).unwrap();
    assert_eq!(bench.next_total(), 101);
    fs::write(bench.file("t.yaml"), "timeouts: { totl: 1s }").unwrap();
    assert!(bench.next().is_err());
    fs::write(bench.file("t.yaml"), total(102)).unwrap();
    assert_eq!(bench.next_total(), 102);
}

#[test]
fn a_change_before_the_watch_began_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.yaml");
    fs::write(&file, total(100)).unwrap();
    let (config, files) = WatchedFiles::load(&file, Arc::new(|_| None)).unwrap();
    assert_eq!(config.timeouts.total.as_secs(), 100);
    fs::write(&file, total(101)).unwrap();
    let bench = Bench::of(dir, files);
    assert_eq!(bench.next_total(), 101);
    assert!(
        bench.loads.recv_timeout(QUIET * 3).is_err(),
        "once is enough"
    );
}

#[test]
fn a_file_replaced_by_renaming_is_noticed() {
    let bench = Bench::start(|dir| fs::write(dir.join("t.yaml"), total(100)).unwrap());
    for seconds in [101, 102] {
        fs::write(bench.file("t.yaml~"), total(seconds)).unwrap();
        fs::rename(bench.file("t.yaml~"), bench.file("t.yaml")).unwrap();
        assert_eq!(bench.next_total(), seconds);
    }
}

/// A Kubernetes ConfigMap: `t.yaml → ..data/t.yaml`, `..data → ..1`, and only `..data` is ever replaced.
#[test]
fn a_swapped_symbolic_link_is_noticed() {
    use std::os::unix::fs::symlink;
    let version = |dir: &Path, name: &str, seconds| {
        fs::create_dir(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("t.yaml"), total(seconds)).unwrap();
        symlink(name, dir.join("..tmp")).unwrap();
        fs::rename(dir.join("..tmp"), dir.join("..data")).unwrap();
    };
    let bench = Bench::start(|dir| {
        version(dir, "..1", 100);
        symlink("..data/t.yaml", dir.join("t.yaml")).unwrap();
    });
    version(bench.dir.path(), "..2", 101);
    fs::remove_dir_all(bench.file("..1")).unwrap();
    assert_eq!(bench.next_total(), 101);
    version(bench.dir.path(), "..3", 102);
    assert_eq!(bench.next_total(), 102);
}

#[test]
fn new_files_of_a_pattern_are_noticed_and_unrelated_ones_are_not() {
    let bench = Bench::start(|dir| {
        fs::create_dir(dir.join("d")).unwrap();
        fs::write(dir.join("t.yaml"), "include: ['d/*.yaml']").unwrap();
    });
    fs::write(bench.file("access.log"), "a line").unwrap();
    assert!(
        bench.loads.recv_timeout(QUIET * 3).is_err(),
        "a log beside the configuration is no reason"
    );
    fs::write(bench.file("d/a.yaml"), total(101)).unwrap();
    assert_eq!(bench.next_total(), 101);
    fs::write(bench.file("d/a.yaml"), total(102)).unwrap();
    assert_eq!(bench.next_total(), 102);
}

#[test]
fn a_trigger_loads_without_a_change() {
    let bench = Bench::start(|dir| fs::write(dir.join("t.yaml"), total(100)).unwrap());
    bench.watcher.trigger().reload();
    assert_eq!(bench.next_total(), 100);
}

#[test]
fn a_hangup_loads_without_a_change() {
    let bench = Bench::start(|dir| fs::write(dir.join("t.yaml"), total(100)).unwrap());
    reload_on_hangup(bench.watcher.trigger()).unwrap();
    let pid = std::process::id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-HUP", &pid])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(bench.next_total(), 100);
}
