//! What Linux says about a process, and about the machine, in `/proc`.
//!
//! Pure: no IO, no clock.

/// Clock ticks in a second, in which `/proc` counts CPU time; Linux fixes it for
/// all programs, whatever the kernel's own is.
pub(crate) const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of a process so far, in clock ticks, from `/proc/<pid>/stat`.
///
/// The second field is the program's name in parentheses and may hold anything,
/// so fields are counted from the last parenthesis: `utime` is the 14th and
/// `stime` the 15th of all.
pub(crate) fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A line such as `VmRSS:  1234 kB` of `/proc/<pid>/status` or `/proc/meminfo`, in KiB.
pub(crate) fn kib(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| *key == name)?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Clock ticks of all cores since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MachineTicks {
    /// Doing anything.
    pub(crate) busy: u64,
    /// Busy or not.
    pub(crate) all: u64,
}

/// Reads the line `cpu` of `/proc/stat`: user, nice, system, idle, iowait, irq,
/// softirq, steal; guests are within user already.
pub(crate) fn machine_ticks(stat: &str) -> Option<MachineTicks> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line
        .split_ascii_whitespace()
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let all = ticks.iter().sum();
    let resting: u64 = ticks.get(3..5)?.iter().sum();
    Some(MachineTicks {
        busy: all - resting,
        all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat =
            "7 (a) (b c) S 1 7 7 0 -1 4194560 900 0 0 0 250 50 3 4 20 0 9 0 100 200 300 18446744";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("7 (a"), None);
    }

    #[test]
    fn memory_is_found_by_its_whole_name() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kib(status, "VmRSS"), Some(1024));
        assert_eq!(kib(status, "VmHWM"), Some(2048));
        assert_eq!(kib(status, "Vm"), None);
    }

    #[test]
    fn waiting_for_a_disk_is_not_being_busy() {
        let stat = "cpu  10 1 5 80 3 0 1 0 7 0\ncpu0 10 1 5 80 3 0 1 0 7 0\n";
        assert_eq!(
            machine_ticks(stat),
            Some(MachineTicks { busy: 17, all: 100 })
        );
    }
}
