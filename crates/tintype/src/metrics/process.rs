//! This process as the kernel shows it, under the names that every Prometheus client gives.

use prometheus::{CounterVec, GaugeVec};

use super::Maker;

/// What is told of it; nothing where there is no /proc.
pub struct Gauges {
    cpu: CounterVec,
    memory: GaugeVec,
    files: GaugeVec,
    most_files: GaugeVec,
    threads: GaugeVec,
    start: GaugeVec,
}

impl Gauges {
    pub(super) fn new(made: &Maker) -> Self {
        let gauge = |name, help| made.gauge(name, help, &[]);
        Self {
            cpu: made.seconds("process_cpu_seconds_total", "Processor time of this process, without its decoders."),
            memory: gauge("process_resident_memory_bytes", "Memory of this process, without its decoders."),
            files: gauge("process_open_fds", "Open files and sockets."),
            most_files: gauge("process_max_fds", "Most of them."),
            threads: gauge("process_threads", "Threads."),
            start: gauge("process_start_time_seconds", "When it started, since 1970."),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Gauges {
    pub(super) fn look(&self) {}
}

#[cfg(target_os = "linux")]
impl Gauges {
    /// Looks again.
    pub(super) fn look(&self) {
        let set = |gauge: &GaugeVec, value: Option<f64>| {
            if let Some(value) = value {
                gauge.with_label_values::<&str>(&[]).set(value);
            }
        };
        let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The second field is a name, which may hold spaces; the next one is the third.
        let fields: Vec<&str> =
            text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let tick = rustix::param::clock_ticks_per_second() as f64;
        let used = field(14).zip(field(15)).map_or(0.0, |(user, system)| (user + system) / tick);
        let cpu = self.cpu.with_label_values::<&str>(&[]);
        cpu.inc_by((used - cpu.get()).max(0.0));
        set(&self.memory, field(24).map(|pages| pages * rustix::param::page_size() as f64));
        set(&self.threads, field(20));
        set(&self.start, field(22).zip(booted()).map(|(after, boot)| boot + after / tick));
        set(&self.files, std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64));
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        set(&self.most_files, Some(limit.map_or(f64::INFINITY, |most| most as f64)));
    }
}

/// When the machine started, since 1970.
#[cfg(target_os = "linux")]
fn booted() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}
