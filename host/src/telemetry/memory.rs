//! How much memory the process has and may have. Linux only; elsewhere nothing is known.

use std::fs;

/// Bytes of this process that are in memory.
pub fn used() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Bytes that it may have: its container's limit, else the machine's memory.
pub fn total() -> Option<u64> {
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse().ok());
    let machine = kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:");
    limit.into_iter().chain(machine).min()
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
