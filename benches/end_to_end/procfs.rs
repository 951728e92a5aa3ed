//! What a process has used, read from `/proc`.
//!
//! CPU time is the sum of its tasks' `schedstat` (nanoseconds on the CPU, which on loopback includes the
//! kernel's network work done on the task's behalf). The clock ticks of `stat` (10 ms each) tell how much of
//! it was the kernel, and stand in when a task ended in between or the kernel keeps no `schedstat`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::Outcome;

/// Length of a clock tick in `/proc/<pid>/stat`: `USER_HZ` is 100 on every architecture Rust and Linux share.
const TICK: Duration = Duration::from_millis(10);

/// CPU time used by a process up to now.
pub struct Cpu {
    tasks: BTreeMap<u32, u64>,
    user: u32,
    system: u32,
}

/// CPU time used between two readings.
#[derive(Clone, Copy)]
pub struct Used {
    /// All of it.
    pub total: Duration,
    /// The part that was spent in the process's own code, not in the kernel; rounded to what ticks tell.
    pub user: Duration,
}

impl Cpu {
    /// Reads the process's CPU time.
    pub fn read(pid: u32) -> Outcome<Cpu> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .map_err(|error| format!("process {pid} is gone: {error}"))?;
        // The name (field 2) may contain anything; fields are counted from its closing parenthesis.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or(stat.as_str(), |(_, rest)| rest)
            .split_ascii_whitespace()
            .collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse().ok());
        let (user, system) = ticks(11)
            .zip(ticks(12))
            .ok_or("unreadable /proc/<pid>/stat")?;
        let mut tasks = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            let id = task
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
                .unwrap_or(0);
            // A task may end while it is being read.
            let spent = fs::read_to_string(task.path().join("schedstat"))
                .ok()
                .and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
            tasks.extend(spent.map(|spent: u64| (id, spent)));
        }
        Ok(Cpu {
            tasks,
            user,
            system,
        })
    }

    /// What was used since an `earlier` reading of the same process.
    pub fn since(&self, earlier: &Cpu) -> Used {
        let user = self.user.saturating_sub(earlier.user);
        let system = self.system.saturating_sub(earlier.system);
        let by_ticks = TICK * (user + system);
        let complete = !self.tasks.is_empty()
            && earlier
                .tasks
                .keys()
                .all(|task| self.tasks.contains_key(task));
        let by_task = self
            .tasks
            .iter()
            .map(|(task, now)| now.saturating_sub(earlier.tasks.get(task).copied().unwrap_or(0)))
            .sum();
        let total = if complete {
            Duration::from_nanos(by_task)
        } else {
            by_ticks
        };
        Used {
            total,
            user: total.mul_f64(f64::from(user) / f64::from((user + system).max(1))),
        }
    }
}

/// CPU time used up to now by a process's threads whose names begin so.
pub fn cpu_of_threads(pid: u32, begin: &str) -> Outcome<Duration> {
    let mut used = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        if read("comm").starts_with(begin) {
            let spent = read("schedstat");
            let nanos = spent.split_ascii_whitespace().next();
            used += Duration::from_nanos(nanos.unwrap_or("0").parse()?);
        }
    }
    Ok(used)
}

/// Resident memory of a process now, in KiB.
pub fn resident_kib(pid: u32) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    field(&status, "VmRSS:")
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| format!("no VmRSS for process {pid}").into())
}

/// How many files this process, and what it starts, may open.
pub fn files() -> Outcome<u64> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    field(&limits, "Max open files")
        .map(|soft| soft.parse().unwrap_or(u64::MAX))
        .ok_or_else(|| "no limit of open files in /proc/self/limits".into())
}

/// The CPUs this process may run on, in order.
pub fn allowed_cpus() -> Vec<u32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = field(&status, "Cpus_allowed_list:").unwrap_or_default();
    list.split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse::<u32>().ok()?..=last.parse().ok()?)
        })
        .flatten()
        .collect()
}

/// The machine's processors, and how large the caches of the first one are.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    });
    let cache = |index: u8| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
        let read = |name: &str| fs::read_to_string(format!("{path}/{name}")).ok();
        let (level, size) = (read("level")?, read("size")?);
        Some(format!("L{} {}", level.trim(), size.trim()))
    };
    let caches: Vec<String> = (0..8).map_while(cache).collect();
    let caches = match caches.is_empty() {
        true => "caches unknown".to_owned(),
        false => caches.join(", "),
    };
    let model = model.unwrap_or_else(|| "an unknown processor".to_owned());
    let count = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    format!("{count} × {model} ({caches})")
}

/// Clock ticks of all CPUs since boot: those that were not idle, and all.
pub fn machine_ticks() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<f64> = stat
        .lines()
        .next()?
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let all: f64 = ticks.iter().sum();
    // Idle, and idle but for a disk.
    Some((all - ticks.get(3)? - ticks.get(4)?, all))
}

/// The first word after `name` in a file of `name value` lines.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_ascii_whitespace()
        .next()
}
