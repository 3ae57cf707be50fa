//! Memory, limits and the network.

use super::Finding;
use super::host::{Host, listed};

/// Bits of the capabilities that lift limits: to lock memory, and to run with real-time priority.
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_NICE: u32 = 23;

/// Everything about memory, limits and the network cards of market data.
pub(super) fn inspect(host: &Host) -> Vec<Finding> {
    let mut findings = vec![
        transparent_huge_pages(host),
        huge_pages(host),
        limit(
            host,
            "memlock",
            "Max locked memory",
            CAP_IPC_LOCK,
            "memory that may be paged out stalls a tick by a disk's latency",
        ),
        limit(
            host,
            "rtprio",
            "Max realtime priority",
            CAP_SYS_NICE,
            "without it a hot thread cannot be given priority",
        ),
        busy_poll(host),
        receive_buffer(host),
    ];
    for card in &host.cards {
        findings.extend([interrupts(host, card), ring(host, card), node(host, card)]);
    }
    if host.cards.is_empty() {
        let why = "its interrupts, rings and memory decide what a packet costs before it is ours";
        findings.push(Finding::unknown("network card", "none carries the configured lines".to_owned(), why));
    }
    findings
}

fn transparent_huge_pages(host: &Host) -> Finding {
    let path = "sys/kernel/mm/transparent_hugepage/enabled";
    let (item, why) = ("transparent huge pages", "with always, the kernel stalls threads to put pages together");
    let Some(text) = host.text(path) else { return Finding::unknown(item, format!("/{path} cannot be read"), why) };
    let chosen = text.split(' ').find(|word| word.starts_with('[')).unwrap_or(&text);
    let chosen = chosen.trim_matches(['[', ']']).to_owned();
    Finding::judged(item, chosen != "always", chosen, why, format!("echo madvise > /{path}"))
}

fn huge_pages(host: &Host) -> Finding {
    let (item, why) = ("huge pages", "fewer, larger pages leave fewer misses of the address cache");
    let info = host.text("proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("HugePages_Total:")?.trim().parse::<u64>().ok());
    let Some(total) = total else { return Finding::unknown(item, "/proc/meminfo does not tell".to_owned(), why) };
    Finding::judged(item, total > 0, format!("{total} reserved"), why, "sysctl -w vm.nr_hugepages=64".to_owned())
}

/// A limit of this process that should not be one, unless a capability lifts it.
fn limit(host: &Host, item: &'static str, name: &str, capability: u32, why: &'static str) -> Finding {
    let limits = host.text("proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next().map(str::to_owned));
    let Some(soft) = soft else { return Finding::unknown(item, "/proc/self/limits does not tell".to_owned(), why) };
    let status = host.text("proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    let is_lifted = mask.is_some_and(|mask| mask & (1 << capability) != 0);
    let holds = is_lifted || soft == "unlimited" || (item == "rtprio" && soft != "0");
    let found = if is_lifted { format!("{soft}, lifted by a capability") } else { soft };
    let value = if item == "rtprio" { "99" } else { "unlimited" };
    let fix = format!(
        "add `* - {item} {value}` to /etc/security/limits.conf, or Limit{}= to the service",
        item.to_uppercase()
    );
    Finding::judged(item, holds, found, why, fix)
}

fn busy_poll(host: &Host) -> Finding {
    let (item, why) = ("busy polling", "the kernel waits for an interrupt where it could look at the card itself");
    let [poll, read] = ["busy_poll", "busy_read"].map(|name| host.number(&format!("proc/sys/net/core/{name}")));
    let (Some(poll), Some(read)) = (poll, read) else {
        return Finding::unknown(item, "the kernel was built without it".to_owned(), why);
    };
    let fix = "sysctl -w net.core.busy_poll=50 net.core.busy_read=50, or busy_poll_us of a line".to_owned();
    Finding::judged(item, poll > 0 && read > 0, format!("busy_poll {poll} us, busy_read {read} us"), why, fix)
}

fn receive_buffer(host: &Host) -> Finding {
    let (item, why) = ("receive buffer", "what a burst overflows is lost and has to be recovered");
    let Some(max) = host.number("proc/sys/net/core/rmem_max") else {
        return Finding::unknown(item, "/proc/sys/net/core/rmem_max cannot be read".to_owned(), why);
    };
    let asked = host.receive_buffer_bytes;
    let found = format!("{max} bytes at most, a line asks for {asked}");
    let holds = usize::try_from(max).is_ok_and(|max| max >= asked);
    Finding::judged(item, holds, found, why, format!("sysctl -w net.core.rmem_max={asked}"))
}

fn interrupts(host: &Host, card: &str) -> Finding {
    let (item, why) = ("interrupts", "a card's interrupt on a hot core takes the core from the tick");
    let numbers = host.list(&format!("sys/class/net/{card}/device/msi_irqs"));
    let affinity =
        |number: &String| Some((number.clone(), host.cores(&format!("proc/irq/{number}/smp_affinity_list"))?));
    let known: Vec<(String, Vec<usize>)> = numbers.iter().filter_map(affinity).collect();
    if known.is_empty() {
        return Finding::unknown(item, format!("{card}: the host does not tell"), why);
    }
    let on_hot = |(_, cores): &&(String, Vec<usize>)| cores.iter().any(|core| host.hot.contains(core));
    let wrong: Vec<&str> = known.iter().filter(on_hot).map(|(number, _)| number.as_str()).collect();
    let found = format!("{card}: {} of {} may come to a hot core", wrong.len(), known.len());
    let others = host.others();
    let others = if others.is_empty() { "OTHER_CORES".to_owned() } else { listed(&others) };
    let fix = format!("for i in {}; do echo {others} > /proc/irq/$i/smp_affinity_list; done", wrong.join(" "));
    Finding::judged(item, wrong.is_empty(), found, why, fix)
}

fn ring(host: &Host, card: &str) -> Finding {
    let (item, why) =
        ("ring and coalescing", "a card that gathers packets before it tells of them delays the first one");
    let of = |name: &str| host.number(&format!("sys/class/net/{card}/{name}"));
    let (Some(flush), Some(defer)) = (of("gro_flush_timeout"), of("napi_defer_hard_irqs")) else {
        return Finding::unknown(
            item,
            format!("{card}: only the driver tells, ask ethtool -g {card}; ethtool -c {card}"),
            why,
        );
    };
    let found = format!(
        "{card}: gro_flush_timeout {flush} ns, napi_defer_hard_irqs {defer}; the driver's own by ethtool -c {card}"
    );
    let fix = format!("ethtool -C {card} adaptive-rx off rx-usecs 0; echo 0 > /sys/class/net/{card}/gro_flush_timeout");
    Finding::judged(item, flush == 0, found, why, fix)
}

fn node(host: &Host, card: &str) -> Finding {
    let (item, why) = ("NUMA node", "a card on another node writes packets into memory that is far from the hot cores");
    let node = host.number(&format!("sys/class/net/{card}/device/numa_node"));
    let Some(node) = node.filter(|node| *node >= 0) else {
        return Finding::unknown(item, format!("{card}: on no node of its own"), why);
    };
    let near = host.cores(&format!("sys/devices/system/node/node{node}/cpulist")).unwrap_or_default();
    let far: Vec<usize> = host.hot.iter().copied().filter(|core| !near.contains(core)).collect();
    let found = format!("{card} on node {node} with cores {}; hot: {}", listed(&near), listed(&host.hot));
    let fix = format!("choose hot cores among {} (cores in the configuration)", listed(&near));
    Finding::judged(item, far.is_empty(), found, why, fix)
}
