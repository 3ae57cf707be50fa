//! The cores: who else runs on them, how fast they are, how soon they wake.

use super::Finding;
use super::host::{Host, listed};

/// A core that needs longer than this to wake costs more than a tick does, microseconds.
const WAKE_MAX_US: i64 = 2;

/// Everything about the hot cores and the kernel that schedules them.
pub(super) fn inspect(host: &Host) -> Vec<Finding> {
    vec![
        isolated(host),
        tickless(host),
        governor(host),
        siblings(host),
        sleep_states(host),
        clock_source(host),
        preemption(host),
    ]
}

fn outside(hot: &[usize], of: &[usize]) -> Vec<usize> {
    hot.iter().copied().filter(|core| !of.contains(core)).collect()
}

fn isolated(host: &Host) -> Finding {
    let why = "whatever else the scheduler puts on a hot core delays a tick by a time slice";
    let fix = format!("add isolcpus=managed_irq,domain,{} to the kernel's command line", listed(&host.hot));
    listing("isolated cores", host, "sys/devices/system/cpu/isolated", why, fix)
}

fn tickless(host: &Host) -> Finding {
    let why = "the scheduler's clock interrupts a hot core up to a thousand times a second";
    let cores = listed(&host.hot);
    let fix = format!("add nohz_full={cores} rcu_nocbs={cores} to the kernel's command line");
    listing("nohz_full", host, "sys/devices/system/cpu/nohz_full", why, fix)
}

/// Whether a list of the kernel's holds the hot cores.
fn listing(item: &'static str, host: &Host, path: &str, why: &'static str, fix: String) -> Finding {
    let Some(cores) = host.cores(path) else { return Finding::unknown(item, format!("/{path} cannot be read"), why) };
    let missing = outside(&host.hot, &cores);
    let fix = if host.others().is_empty() {
        "leave a core to everything else first: a topology with fewer threads, or cores in the configuration".to_owned()
    } else {
        fix
    };
    let found = if cores.is_empty() { "none".to_owned() } else { listed(&cores) };
    let found = if missing.is_empty() { found } else { format!("{found}; not among them: {}", listed(&missing)) };
    Finding::judged(item, missing.is_empty(), found, why, fix)
}

fn governor(host: &Host) -> Finding {
    let (item, why) = ("frequency governor", "a core that clocks down between ticks is slow when one comes");
    let governors: Vec<(usize, String)> = (host.hot.iter())
        .filter_map(|&core| Some((core, host.text(&host.of_core(core, "cpufreq/scaling_governor"))?)))
        .collect();
    if governors.is_empty() {
        return Finding::unknown(item, "the host does not let frequencies be governed here".to_owned(), why);
    }
    let slow: Vec<usize> =
        governors.iter().filter(|(_, governor)| governor != "performance").map(|(core, _)| *core).collect();
    let found: Vec<String> = governors.iter().map(|(core, governor)| format!("{core}: {governor}")).collect();
    let fix = format!("cpupower -c {} frequency-set -g performance", listed(&slow));
    Finding::judged(item, slow.is_empty(), found.join(", "), why, fix)
}

fn siblings(host: &Host) -> Finding {
    let (item, why) = ("SMT siblings", "two threads of one core share its caches and its execution units");
    let shared: Vec<(usize, Vec<usize>)> = (host.hot.iter())
        .filter_map(|&core| Some((core, host.cores(&host.of_core(core, "topology/thread_siblings_list"))?)))
        .collect();
    if shared.is_empty() {
        return Finding::unknown(item, "the host does not tell which cores share".to_owned(), why);
    }
    let mut others: Vec<usize> =
        shared.iter().flat_map(|(core, all)| all.iter().copied().filter(move |other| other != core)).collect();
    others.sort_unstable();
    others.dedup();
    let found = if others.is_empty() {
        "hot cores have none online".to_owned()
    } else {
        format!("hot cores {} share with {}", listed(&host.hot), listed(&others))
    };
    let idle = outside(&others, &host.hot);
    let fix = if idle.is_empty() {
        "choose hot cores that are not siblings of each other (cores in the configuration)".to_owned()
    } else {
        let path = |core: &usize| format!("echo 0 > /sys/devices/system/cpu/cpu{core}/online");
        idle.iter().map(path).collect::<Vec<_>>().join("; ")
    };
    Finding::judged(item, others.is_empty(), found, why, fix)
}

fn sleep_states(host: &Host) -> Finding {
    let (item, why) = ("C-states", "a core that sleeps deeply takes longer to wake than a tick takes to be handled");
    let mut deepest: Option<(i64, String)> = None;
    let mut told = false;
    for &core in &host.hot {
        let states = host.of_core(core, "cpuidle");
        for state in host.list(&states) {
            let file = |name: &str| format!("{states}/{state}/{name}");
            let Some(latency) = host.number(&file("latency")) else { continue };
            told = true;
            if host.number(&file("disable")) != Some(1) {
                let name = host.text(&file("name")).unwrap_or(state);
                deepest = deepest.max(Some((latency, format!("core {core}: {name}, {latency} us to wake"))));
            }
        }
    }
    if !told {
        return Finding::unknown(item, "the host does not tell how its cores sleep".to_owned(), why);
    }
    let holds = deepest.as_ref().is_none_or(|(latency, _)| *latency <= WAKE_MAX_US);
    let found = deepest.map_or_else(|| "none enabled".to_owned(), |(_, what)| what);
    let fix = format!("cpupower -c {} idle-set -D {WAKE_MAX_US}", listed(&host.hot));
    Finding::judged(item, holds, found, why, fix)
}

fn clock_source(host: &Host) -> Finding {
    let path = "sys/devices/system/clocksource/clocksource0";
    let (item, why) = ("clock source", "where the kernel does not trust the processor's counter, reading time is slow");
    let Some(source) = host.text(&format!("{path}/current_clocksource")) else {
        return Finding::unknown(item, format!("/{path} cannot be read"), why);
    };
    let offered = host.text(&format!("{path}/available_clocksource")).unwrap_or_default();
    let holds = matches!(source.as_str(), "tsc" | "arch_sys_counter");
    let fix = if offered.split(' ').any(|name| name == "tsc") {
        format!("echo tsc > /{path}/current_clocksource")
    } else {
        "boot with tsc=reliable if the processor's counter is invariant".to_owned()
    };
    Finding::judged(item, holds, source, why, fix)
}

fn preemption(host: &Host) -> Finding {
    let (item, why) = (
        "kernel",
        "PREEMPT_RT makes interrupts threads and throttles threads that spin: medians rise, spinning may stall",
    );
    let Some(version) = host.text("proc/version") else {
        return Finding::unknown(item, "/proc/version cannot be read".to_owned(), why);
    };
    let is_real_time = host.number("sys/kernel/realtime") == Some(1) || version.contains("PREEMPT_RT");
    let release = version.split(' ').nth(2).unwrap_or("unknown").to_owned();
    let found = if is_real_time { format!("{release}, PREEMPT_RT") } else { release };
    let fix = "boot a kernel without PREEMPT_RT, or sysctl -w kernel.sched_rt_runtime_us=-1".to_owned();
    Finding::judged(item, !is_real_time, found, why, fix)
}
