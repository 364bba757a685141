//! Memory that the machine can give to this process.

use std::fs;

/// Available memory if the system does not report it: 64 GB.
const ASSUMED: u64 = 64_000_000_000;

/// Environment variable with the available memory in gigabytes, which overrides the system.
const VARIABLE: &str = "PFGM_MEMORY";

/// Returns the bytes that this process can still allocate: the minimum over the machine, its control group and its limits, including swap. 64 GB
/// if the system does not report it; the environment variable `PFGM_MEMORY` (in gigabytes) overrides it.
pub fn available() -> u64 {
    let given = std::env::var(VARIABLE).ok().and_then(|text| text.trim().parse::<f64>().ok());
    if let Some(gigabytes) = given.filter(|gigabytes| *gigabytes >= 0.0) {
        return (gigabytes * 1e9) as u64;
    }
    [machine(), group(), address_space()].into_iter().flatten().min().unwrap_or(ASSUMED)
}

/// Returns the available memory of `/proc/meminfo`, including free swap.
fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let swap = kilobytes(&text, "SwapFree:").unwrap_or(0);
    Some(kilobytes(&text, "MemAvailable:")?.saturating_add(swap))
}

/// Parses a line such as `MemAvailable:   24689216 kB`, in bytes.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Returns the memory left in the process's control group (version 2 or 1). Reclaimable pages of files count as free.
fn group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = |line: &str| line.splitn(3, ':').nth(2).map(str::to_owned);
    let second = groups.lines().find(|line| line.starts_with("0::")).and_then(path);
    let first = groups
        .lines()
        .find(|line| line.split(':').nth(1).is_some_and(|names| names.split(',').any(|name| name == "memory")))
        .and_then(path);
    let second = second.and_then(|path| {
        let levels = ancestors("/sys/fs/cgroup", &path);
        levels.filter_map(|folder| left(&folder, ["memory.max", "memory.current", "inactive_file "])).min()
    });
    let first = first.and_then(|path| {
        let files = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "];
        ancestors("/sys/fs/cgroup/memory", &path).filter_map(|folder| left(&folder, files)).min()
    });
    [second, first].into_iter().flatten().min()
}

/// Returns the folders of a control group and its parents. In a container the root may be the group itself.
fn ancestors(root: &str, path: &str) -> impl Iterator<Item = String> {
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let root = root.to_owned();
    (0..=parts.len()).map(move |depth| [vec![root.clone()], parts[..depth].to_vec()].concat().join("/"))
}

fn left(folder: &str, [limit, used, cache]: [&str; 3]) -> Option<u64> {
    let number = |file: &str| fs::read_to_string(format!("{folder}/{file}")).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = (number(limit)?, number(used)?);
    let statistics = fs::read_to_string(format!("{folder}/memory.stat")).unwrap_or_default();
    let cached = statistics.lines().find_map(|line| line.strip_prefix(cache)?.trim().parse::<u64>().ok());
    Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

/// Returns what the limit on the process's address space leaves.
fn address_space() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit = line.split_whitespace().next()?.parse::<u64>().ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(limit.saturating_sub(kilobytes(&status, "VmSize:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_system_are_understood() {
        let text = "MemTotal:       32768 kB\nMemAvailable:    1024 kB\nSwapFree:  0 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(1 << 20));
        assert_eq!(kilobytes(text, "MemFree:"), None);
        let folders: Vec<String> = ancestors("/sys/fs/cgroup", "/a/b").collect();
        assert_eq!(folders, ["/sys/fs/cgroup", "/sys/fs/cgroup/a", "/sys/fs/cgroup/a/b"]);
    }
}
