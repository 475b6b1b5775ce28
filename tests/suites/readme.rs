//! The commands in the documentation, run as they stand there.
//! Not here: blocks that are not marked as `bash`, which start things or install them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use symbolon_e2e::dev::Dev;
use symbolon_e2e::process::{binaries, workspace};

#[tokio::test]
async fn the_bash_blocks_of_every_page_work_pasted_as_they_are() {
    let dev = Dev::shared().await;
    let mut pages = 0;
    for page in pages_with_blocks() {
        pages += 1;
        let script = format!("set -eu\n{}", blocks(&std::fs::read_to_string(&page).unwrap()).concat());
        let path =
            format!("{}:{}", binaries().display(), std::env::var_os("PATH").unwrap_or_default().display());
        let run = Command::new("bash")
            .args(["-c", &script])
            .env("SYMBOLON_DEV", &dev.state_dir)
            .env("PATH", path)
            .current_dir(workspace())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "{}: {}\n{}\n{}",
            page.display(),
            run.status,
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr)
        );
    }
    assert!(pages > 0, "no page has a `bash` block");
}

#[test]
fn relative_links_lead_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") && !file.starts_with("mailto:") {
                assert!(page.with_file_name(file).exists(), "{}: `{target}` leads nowhere", page.display());
            }
        }
    }
}

fn pages_with_blocks() -> impl Iterator<Item = PathBuf> {
    pages().into_iter().filter(|page| !blocks(&std::fs::read_to_string(page).unwrap()).is_empty())
}

/// The pages of the root folder and of `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [workspace(), workspace().join("docs"), workspace().join("docs/decisions")] {
        found.extend(markdown(&folder));
    }
    found
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The texts between "```bash" and "```".
fn blocks(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for line in page.lines() {
        match (&mut current, line.trim_end()) {
            (None, "```bash") => current = Some(String::new()),
            (Some(_), "```") => found.extend(current.take()),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}
