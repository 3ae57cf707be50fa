//! `hedgecore check` on hosts made of files: one as a desk sets it up, one as it comes, one that tells nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A host where nothing costs latency: eight cores, the last four hot.
const TUNED: &[(&str, &str)] = &[
    ("sys/devices/system/cpu/online", "0-7"),
    ("sys/devices/system/cpu/isolated", "4-7"),
    ("sys/devices/system/cpu/nohz_full", "4-7"),
    ("sys/devices/system/cpu/cpu4/cpufreq/scaling_governor", "performance"),
    ("sys/devices/system/cpu/cpu4/topology/thread_siblings_list", "4"),
    ("sys/devices/system/cpu/cpu4/cpuidle/state1/latency", "2"),
    ("sys/devices/system/cpu/cpu4/cpuidle/state1/name", "C1"),
    ("sys/devices/system/cpu/cpu4/cpuidle/state1/disable", "0"),
    ("sys/devices/system/cpu/cpu4/cpuidle/state2/latency", "133"),
    ("sys/devices/system/cpu/cpu4/cpuidle/state2/name", "C6"),
    ("sys/devices/system/cpu/cpu4/cpuidle/state2/disable", "1"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
    ("proc/version", "Linux version 6.8.0-desk (builder) #1 SMP PREEMPT_DYNAMIC"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"),
    ("proc/meminfo", "MemTotal: 1 kB\nHugePages_Total:      64\n"),
    ("proc/self/limits", "Max locked memory  unlimited  unlimited  bytes\nMax realtime priority  99  99\n"),
    ("proc/self/status", "CapEff:\t0000000000000000\n"),
    ("proc/sys/net/core/busy_poll", "50"),
    ("proc/sys/net/core/busy_read", "50"),
    ("proc/sys/net/core/rmem_max", "16777216"),
    ("sys/class/net/lo/flags", "0x9"),
    ("sys/class/net/eth1/device/numa_node", "1"),
    ("sys/class/net/eth1/device/msi_irqs/44", ""),
    ("sys/class/net/eth1/gro_flush_timeout", "0"),
    ("sys/class/net/eth1/napi_defer_hard_irqs", "0"),
    ("sys/devices/system/node/node1/cpulist", "4-7"),
    ("proc/irq/44/smp_affinity_list", "0-3"),
    (
        "proc/net/route",
        "Iface Destination Gateway Flags RefCnt Use Metric Mask\neth0 00000000 0100000A 3 0 0 0 00000000\n\
         eth1 0000000A 00000000 1 0 0 0 000000FF\n",
    ),
];

/// What makes each item of that host cost something, and what the fix is then.
const DETUNED: &[(&str, &str, &str, &str)] = &[
    ("isolated cores", "sys/devices/system/cpu/isolated", "4-6", "isolcpus=managed_irq,domain,4,5,6,7"),
    ("nohz_full", "sys/devices/system/cpu/nohz_full", "(null)", "nohz_full=4,5,6,7"),
    (
        "frequency governor",
        "sys/devices/system/cpu/cpu4/cpufreq/scaling_governor",
        "powersave",
        "cpupower -c 4 frequency-set -g performance",
    ),
    (
        "SMT siblings",
        "sys/devices/system/cpu/cpu4/topology/thread_siblings_list",
        "0,4",
        "echo 0 > /sys/devices/system/cpu/cpu0/online",
    ),
    ("C-states", "sys/devices/system/cpu/cpu4/cpuidle/state2/disable", "0", "idle-set -D 2"),
    ("clock source", "sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet", "tsc"),
    ("kernel", "sys/kernel/realtime", "1", "without PREEMPT_RT"),
    ("transparent huge pages", "sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never", "echo madvise"),
    ("huge pages", "proc/meminfo", "HugePages_Total: 0", "vm.nr_hugepages"),
    ("memlock", "proc/self/limits", "Max locked memory  65536  65536\nMax realtime priority 99", "memlock unlimited"),
    ("rtprio", "proc/self/limits", "Max locked memory  unlimited\nMax realtime priority  0  0", "rtprio 99"),
    ("busy polling", "proc/sys/net/core/busy_poll", "0", "net.core.busy_poll=50"),
    ("receive buffer", "proc/sys/net/core/rmem_max", "212992", "net.core.rmem_max=4194304"),
    ("interrupts", "proc/irq/44/smp_affinity_list", "0-7", "echo 0,1,2,3 > /proc/irq/$i/smp_affinity_list"),
    ("ring and coalescing", "sys/class/net/eth1/gro_flush_timeout", "20000", "rx-usecs 0"),
    ("NUMA node", "sys/devices/system/node/node1/cpulist", "0-3", "among 0,1,2,3"),
];

fn host(name: &str, files: impl IntoIterator<Item = (&'static str, &'static str)>) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check").join(name.replace(' ', "-"));
    // What an earlier run left.
    let _ = fs::remove_dir_all(&root);
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, text).expect("written");
    }
    root
}

fn check(root: &Path, more: &[&str]) -> Output {
    let root = root.to_str().expect("UTF-8");
    let command = [&["check", "--root", root], more].concat();
    Command::new(env!("CARGO_BIN_EXE_hedgecore")).args(command).env("HEDGECORE_SECRET", "x").output().expect("it runs")
}

fn findings(root: &Path) -> BTreeMap<String, Value> {
    let json = root.join("findings.json");
    let run = check(root, &["--json", json.to_str().expect("UTF-8")]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report: Value = serde_json::from_slice(&fs::read(json).expect("a report")).expect("JSON");
    let findings = report["findings"].as_array().expect("findings").clone();
    findings.into_iter().map(|finding| (finding["item"].as_str().expect("a name").to_owned(), finding)).collect()
}

#[test]
fn a_host_that_a_desk_has_set_up_costs_nothing() {
    let root = host("tuned", TUNED.iter().copied());
    let findings = findings(&root);
    assert_eq!(findings.len(), DETUNED.len());
    for (item, finding) in &findings {
        assert_eq!(finding["verdict"], "good", "{item}: {finding}");
        assert!(finding["why"].as_str().is_some_and(|why| !why.is_empty()) && finding["fix"].is_null());
    }
    assert!(check(&root, &["--strict"]).status.success());
}

#[test]
fn each_thing_that_costs_latency_is_found_alone_and_comes_with_its_fix() {
    for (item, path, text, fix) in DETUNED {
        let changed = TUNED.iter().copied().filter(|(of, _)| of != path).chain([(*path, *text)]);
        let root = host(item, changed);
        for (name, finding) in findings(&root) {
            let verdict = if name == *item { "costs" } else { "good" };
            assert_eq!(finding["verdict"], verdict, "{item}: {finding}");
            if name == *item {
                assert!(finding["fix"].as_str().is_some_and(|told| told.contains(fix)), "{finding}");
            }
        }
        let strict = check(&root, &["--strict"]);
        assert_eq!(strict.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&strict.stderr).contains(item), "{item}");
    }
}

#[test]
fn a_host_that_tells_nothing_is_neither_praised_nor_blamed() {
    let root = host("silent", [("sys/devices/system/cpu/online", "0-7")]);
    for (item, finding) in findings(&root) {
        assert_eq!(finding["verdict"], "unknown", "{item}");
    }
    assert!(check(&root, &["--strict"]).status.success());
}

#[test]
fn a_configuration_is_validated_first_and_says_which_card_is_meant() {
    let root = host("configured", TUNED.iter().copied());
    let example = include_str!("../examples/hedgecore.toml");
    let path = root.join("desk.toml");
    let given = path.to_str().expect("UTF-8");
    fs::write(&path, example.replace("interface = \"127.0.0.1\"", "interface = \"10.0.0.9\"")).expect("written");
    let run = check(&root, &["--config", given]);
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success() && told.contains("desk.toml: valid") && told.contains("eth1: 0 of 1"), "{told}");
    assert!(!told.contains("eth0"), "no line comes by that card: {told}");
    fs::write(&path, example.replace("heartbeat_s = 5", "heartbeat_s = 0")).expect("written");
    let run = check(&root, &["--config", given]);
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.code() == Some(2) && told.contains(": heartbeat_s: 0 is out of range"), "{told}");
}

#[test]
fn this_host_is_inspected_and_left_as_it_is() {
    let run = Command::new(env!("CARGO_BIN_EXE_hedgecore")).arg("check").output().expect("it runs");
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success() && told.contains("nothing was changed") && told.contains("clock source"), "{told}");
}
