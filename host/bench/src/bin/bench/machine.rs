//! What processes and the whole machine used, from `/proc`.

use std::{collections::HashMap, fs, time::Instant};

/// Clock ticks of a second, as the kernel shows them to programs on Linux.
const TICKS: f64 = 100.0;

/// CPU seconds so far of some processes and of the machine.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    at: Instant,
    processes: Vec<f64>,
    /// Of all processors together.
    busy: f64,
}

/// What was used between two looks.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    /// CPU seconds, in the order of the processes.
    pub(crate) processes: Vec<f64>,
    /// Share of the machine that everybody else used, from 0 to 1.
    pub(crate) others: f64,
    pub(crate) seconds: f64,
}

impl Usage {
    /// Looks at processes and their children.
    pub(crate) fn now(pids: &[u32]) -> Self {
        let table = table();
        let processes = pids.iter().map(|pid| tree(&table, *pid)).collect();
        Self { at: Instant::now(), processes, busy: busy() }
    }

    pub(crate) fn until(&self, later: &Usage) -> Used {
        let seconds = (later.at - self.at).as_secs_f64();
        let processes: Vec<f64> =
            later.processes.iter().zip(&self.processes).map(|(end, start)| end - start).collect();
        let own: f64 = processes.iter().sum();
        let others = ((later.busy - self.busy) - own) / (seconds * processors());
        Used { processes, others: others.max(0.0), seconds }
    }
}

struct Process {
    parent: u32,
    own: f64,
    ended_children: f64,
}

fn table() -> HashMap<u32, Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name may hold anything, so count from its end.
            let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
            let seconds = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / TICKS);
            Some((
                pid,
                Process {
                    parent: fields.get(1)?.parse().ok()?,
                    own: seconds(11)? + seconds(12)?,
                    ended_children: seconds(13)? + seconds(14)?,
                },
            ))
        })
        .collect()
}

/// CPU seconds of a process, of those of its descendants that ended, and of those that have not.
fn tree(table: &HashMap<u32, Process>, pid: u32) -> f64 {
    let Some(process) = table.get(&pid) else { return 0.0 };
    let children = table.iter().filter(|(_, child)| child.parent == pid);
    process.own + process.ended_children + children.map(|(pid, _)| tree(table, *pid)).sum::<f64>()
}

fn busy() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<f64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, (idle, iowait), irq, softirq
    [0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at)).sum::<f64>() / TICKS
}

pub(crate) fn processors() -> f64 {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    f64::from(u32::try_from(count).unwrap_or(1))
}

/// Resident memory in MB; `peak` for the most it ever was.
pub(crate) fn resident(pid: u32, peak: bool) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let name = if peak { "VmHWM:" } else { "VmRSS:" };
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kib: f64 = line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    kib * 1024.0 / 1e6
}

/// The middle one of some figures.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => figures[count / 2],
        count => f64::midpoint(figures[count / 2 - 1], figures[count / 2]),
    }
}
