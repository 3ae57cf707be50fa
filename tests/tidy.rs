//! The house rules that no compiler checks: which way imports point, what hot code must not touch, where `unsafe` lives,
//! how long a file may be. Each rule is shown to catch a sample that breaks it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the crate with the modules it may import. `cli` may import every one.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("sync", &[]),
    ("table", &[]),
    ("canary", &[]),
    ("event", &["instrument", "units"]),
    ("instrument", &["event", "units"]),
    ("stage", &["event"]),
    ("ring", &["event", "stage", "sync"]),
    ("wire", &["instrument", "units"]),
    ("feed", &["event", "instrument", "stage", "units", "wire"]),
    ("pricing", &["instrument", "units"]),
    ("surface", &["event", "instrument", "pricing", "stage", "units"]),
    ("portfolio", &["event", "instrument", "order", "pricing", "stage", "surface", "units"]),
    ("order", &["event", "instrument", "table", "units"]),
    ("risk", &["event", "instrument", "order", "table", "units"]),
    ("hedge", &["event", "instrument", "order", "pricing", "risk", "stage", "units"]),
    ("gateway", &["event", "instrument", "order", "risk", "stage", "units", "wire"]),
    ("capture", &["units"]),
    ("config", &["feed", "gateway", "hedge", "journal", "portfolio", "risk", "runtime", "units"]),
    (
        "telemetry",
        &[
            "event",
            "feed",
            "gateway",
            "hedge",
            "instrument",
            "order",
            "portfolio",
            "pricing",
            "risk",
            "surface",
            "units",
        ],
    ),
    (
        "journal",
        &["event", "gateway", "hedge", "instrument", "order", "portfolio", "ring", "risk", "stage", "units", "wire"],
    ),
    (
        "runtime",
        &[
            "event",
            "feed",
            "gateway",
            "hedge",
            "journal",
            "order",
            "portfolio",
            "ring",
            "risk",
            "stage",
            "surface",
            "sync",
            "telemetry",
            "units",
        ],
    ),
    (
        "bench",
        &[
            "capture",
            "event",
            "feed",
            "gateway",
            "hedge",
            "instrument",
            "order",
            "portfolio",
            "ring",
            "risk",
            "runtime",
            "sim",
            "stage",
            "surface",
            "telemetry",
            "units",
            "wire",
        ],
    ),
    (
        "sim",
        &[
            "event",
            "feed",
            "gateway",
            "hedge",
            "instrument",
            "journal",
            "order",
            "portfolio",
            "pricing",
            "risk",
            "runtime",
            "stage",
            "surface",
            "telemetry",
            "units",
            "wire",
        ],
    ),
];

/// Modules that run on hot threads.
const HOT: &[&str] = &[
    "event",
    "feed",
    "gateway",
    "hedge",
    "instrument",
    "order",
    "portfolio",
    "pricing",
    "ring",
    "risk",
    "stage",
    "units",
    "wire",
];

/// What hot code must not contain, and why.
const BANNED: &[(&str, &str)] = &[
    ("Instant::now", "a stage reads no clock"),
    ("SystemTime", "a stage reads no clock"),
    ("HashMap", "hashing is neither bounded nor ordered"),
    ("HashSet", "hashing is neither bounded nor ordered"),
    ("BTreeMap", "it allocates"),
    ("format!", "it allocates"),
    (".to_string()", "it allocates"),
    (".to_owned()", "it allocates"),
    ("String::", "it allocates"),
    ("Vec::new()", "it grows"),
    ("VecDeque", "it grows"),
    ("println!", "it blocks"),
    ("std::fs", "it blocks"),
    ("std::net", "it blocks"),
    ("std::thread", "stages own no threads"),
    ("Mutex", "it blocks"),
    ("RwLock", "it blocks"),
    (".unwrap()", "nothing a peer sends may panic us"),
    (".mul_add(", "its result differs between instruction sets"),
];

/// Where `unsafe` may be written.
const UNSAFE_IN: &[&str] = &["ring", "runtime"];
/// Longest file, lines.
const LINES_MAX: usize = 600;

#[test]
fn the_house_rules_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 40, "only {} files were found", files.len());
    let test_modules: BTreeSet<PathBuf> = files.iter().flat_map(|path| test_modules_of(path)).collect();
    let mut faults = Vec::new();
    for path in files.iter().filter(|path| !path.ancestors().any(|part| test_modules.contains(part))) {
        let relative = path.strip_prefix(&root).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs");
        let text = fs::read_to_string(path).unwrap();
        faults.extend(faults_of(module, &text).into_iter().map(|fault| format!("{}: {fault}", relative.display())));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_has_its_place_in_the_order_of_imports() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let declared =
        lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    for module in declared {
        assert!(module == "cli" || MAY_IMPORT.iter().any(|(name, _)| *name == module), "{module} is not in the table");
    }
}

#[test]
fn each_rule_catches_what_breaks_it() {
    let caught = |module: &str, text: &str| faults_of(module, text).len();
    assert_eq!(caught("feed", "use crate::{event::Event, wire::x};\n/// crate::cli::run in prose\nfn f() {}\n"), 0);
    assert_eq!(caught("feed", "use crate::cli::run;\n"), 1);
    assert_eq!(caught("feed", "fn f() { crate::sim::venue(); }\n"), 1);
    assert_eq!(caught("wire", "use crate::{\n    feed::Feed,\n    units::Price,\n};\n"), 1);
    for (banned, _) in BANNED {
        assert_eq!(caught("hedge", &format!("fn f() {{ {banned} }}\n")), 1, "{banned}");
        assert_eq!(caught("hedge", &format!("#[cfg(test)]\nmod tests {{ {banned} }}\n")), 0, "{banned} in tests");
        assert_eq!(caught("cli", &format!("fn f() {{ {banned} }}\n")), 0, "{banned} in cold code");
    }
    assert_eq!(caught("hedge", "fn f() { unsafe { g() } }\n"), 1);
    assert_eq!(caught("hedge", "fn f() { ArrayVec::new() }\n"), 0);
    assert_eq!(caught("ring", "fn f() { unsafe { g() } }\n"), 1);
    assert_eq!(caught("ring", "// SAFETY: g has no conditions.\nfn f() { unsafe { g() } }\n"), 0);
    assert_eq!(caught("cli", &format!("// {}: later\n", concat!("TO", "DO"))), 1);
    assert_eq!(caught("cli", &"\n".repeat(LINES_MAX + 1)), 1);
}

/// What is wrong with the text of a file of `module`.
fn faults_of(module: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.lines().count() > LINES_MAX {
        faults
            .push(format!("{} lines, at most {LINES_MAX}: split it along what changes together", text.lines().count()));
    }
    for marker in ["TODO", "FIXME", "XXX"] {
        if text.contains(marker) {
            faults.push(format!("holds {marker}"));
        }
    }
    let live = &text[..text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len())];
    let code: String = live.lines().map(|line| format!("{}\n", line.split("//").next().unwrap_or_default())).collect();
    if module != "cli" && module != "lib" && module != "main" {
        let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, allowed)| allowed);
        for import in imports(&code) {
            // A canary sits wherever something could break.
            if import != module && import != "canary" && !allowed.contains(&import.as_str()) {
                faults.push(format!("imports {import}, which stands above {module}"));
            }
        }
    }
    if HOT.contains(&module) {
        for (banned, why) in BANNED.iter().filter(|(banned, _)| mentions(&code, banned)) {
            faults.push(format!("holds {banned} on the hot path: {why}"));
        }
    }
    if code.contains("unsafe {") || code.contains("unsafe impl") || code.contains("unsafe fn") {
        if !UNSAFE_IN.contains(&module) {
            faults.push("unsafe outside ring and runtime".to_owned());
        } else if !live.contains("SAFETY:") {
            faults.push("unsafe without a SAFETY comment".to_owned());
        }
    }
    faults
}

/// Whether `code` holds `word`, not as the end of a longer name (`ArrayVec::new` is no `Vec::new`).
fn mentions(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric()))
}

/// The top-level modules that code reaches through `crate::`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for (start, path) in code.match_indices("crate::") {
        let rest = &code[start + path.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            modules.insert(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut item_starts = true;
        for (offset, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => item_starts = true,
                c if item_starts && c.is_alphabetic() => {
                    modules.insert(name(&group[offset..]));
                    item_starts = false;
                }
                _ => {}
            }
        }
    }
    modules.remove("");
    modules
}

/// Files and folders that exist for tests alone, because their parent declares them so.
fn test_modules_of(path: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(path).unwrap();
    let directory = match path.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().unwrap().to_owned(),
        _ => path.with_extension(""),
    };
    let after_cfg = text.split("#[cfg(test)]\n").skip(1);
    let declared = after_cfg.filter_map(|rest| {
        rest.trim_start().trim_start_matches("pub(super) ").strip_prefix("mod ")?.split_once(';').map(|(name, _)| name)
    });
    declared
        .filter(|name| !name.contains(['{', ' ']))
        .flat_map(|name| [directory.join(format!("{name}.rs")), directory.join(name)])
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}
