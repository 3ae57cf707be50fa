//! A configuration file of anybody's making: settings, or one line that says where and what.

use std::path::Path;

use hedgecore::config::Settings;
use hedgecore::gateway::fix::NonceSeed;

const EXAMPLE: &str = include_str!("../../../examples/hedgecore.toml");

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // A secret is read from where the file says; only from where nothing can be, or the example's own.
    if text.contains("secret_file") || text.contains("secret_env") && !text.contains("\"HOME\"") {
        return;
    }
    match Settings::parse(Path::new("desk.toml"), text, NonceSeed([7; 32])) {
        Ok(settings) => {
            assert!(!settings.lines.is_empty(), "market data comes from somewhere");
            assert!(!settings.session.armed || text.contains("armed"), "nothing is armed that does not say so");
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(shown.starts_with("desk.toml") && !shown.contains('\n'), "{shown:?}");
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let whole = EXAMPLE.replace("HEDGECORE_SECRET", "HOME");
    let starbase = whole.replace("protocol = \"fix\"", "protocol = \"starbase\"");
    vec![whole.clone().into(), starbase.into(), whole.replace("armed = false", "armed = true").into()]
}
