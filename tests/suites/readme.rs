//! The commands in the documentation: `bash` blocks are run as they stand, `sh` blocks start or install things and are read.
//! Not here: Rust in the READMEs of crates, which the doc tests run.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use symbolon_e2e::dev::Dev;
use symbolon_e2e::process::{binaries, workspace};

#[tokio::test]
async fn the_bash_blocks_of_every_page_work_pasted_as_they_are() {
    let dev = Dev::shared().await;
    for page in pages_with("bash") {
        let text = std::fs::read_to_string(&page).unwrap();
        let script = format!("set -eu\n{}", blocks(&text, "bash").concat());
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
}

#[test]
fn the_pages_with_commands_are_these() {
    assert_eq!(
        names(&pages_with("bash")),
        ["docs/curl.md", "docs/operations.md", "docs/policies.md"],
        "what is pasted is run here"
    );
    assert_eq!(
        names(&pages_with("sh")),
        ["CONTRIBUTING.md", "README.md", "deploy/README.md", "docs/curl.md"],
        "what starts or installs something is read here"
    );
    for crate_page in ["common/http/README.md", "policies/README.md", "sidecar/README.md", "tests/README.md"]
    {
        assert!(names(&pages()).iter().any(|page| page == crate_page), "{crate_page} is not looked at");
    }
}

#[test]
fn the_sh_blocks_are_well_formed_and_name_what_is_there() {
    for page in pages_with("sh") {
        for block in blocks(&std::fs::read_to_string(&page).unwrap(), "sh") {
            let checked = Command::new("bash").args(["-n", "-c", &block]).output().unwrap();
            assert!(checked.status.success(), "{}: {block}", page.display());
            for word in block.split_whitespace() {
                let ours = word.starts_with("scripts/") || word.starts_with("deploy/");
                assert!(
                    !ours || workspace().join(word).exists(),
                    "{}: `{word}` is not there",
                    page.display()
                );
                let program = word.starts_with("symbolon") && !word.contains(['.', '/']);
                let known = program.then(|| binaries().join(word).exists() || is_a_unit(word));
                assert_ne!(known, Some(false), "{}: there is no `{word}`", page.display());
            }
        }
    }
}

/// `policy lint` with the places that the pages name.
fn lint(policies: &str) -> std::process::Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page.cedar"), policies).unwrap();
    let lint = ["policy", "lint", "--local-time", "office"];
    Command::new(binaries().join("symbolon")).args(lint).arg(folder.path()).output().unwrap()
}

#[test]
fn the_policies_of_the_pages_are_valid() {
    let mut seen = 0;
    for page in pages_with("cedar") {
        let text = std::fs::read_to_string(&page).unwrap();
        let checked = lint(&blocks(&text, "cedar").concat());
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success(), "{}: {said}", page.display());
        seen += 1;
    }
    assert!(seen >= 2, "the pages on policies and on passing tokens on have some");
}

#[test]
fn the_conditions_of_the_page_on_policies_are_valid() {
    let page = std::fs::read_to_string(workspace().join("docs/policies.md")).unwrap();
    let table = page.split("is written as").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: Vec<&str> = table.lines().filter(|row| row.matches('`').count() >= 2).collect();
    assert!(rows.len() >= 10, "{rows:?}");
    for row in rows {
        let condition = row.split('`').nth(1).unwrap();
        // `context.subject.id` and its like are values: they are compared with themselves.
        let condition = match condition.contains([' ', '(']) {
            true => condition.to_owned(),
            false if condition == "context.key_bound" => condition.to_owned(),
            false => format!("{condition} == {condition}"),
        };
        let valid = ["issue", "exchange", "call"].iter().any(|action| {
            let head = format!("permit (principal, action == Symbolon::Action::\"{action}\", resource)");
            lint(&format!("@id(\"row\") {head} when {{ {condition} }};")).status.success()
        });
        assert!(valid, "{row}");
    }
}

fn is_a_unit(name: &str) -> bool {
    workspace().join(format!("deploy/systemd/{name}.service")).exists()
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

fn pages_with(language: &str) -> Vec<PathBuf> {
    let has = |page: &PathBuf| !blocks(&std::fs::read_to_string(page).unwrap(), language).is_empty();
    pages().into_iter().filter(has).collect()
}

/// The paths below the workspace, in order.
fn names(pages: &[PathBuf]) -> Vec<String> {
    let name = |page: &PathBuf| page.strip_prefix(workspace()).unwrap().display().to_string();
    let mut names: Vec<String> = pages.iter().map(name).collect();
    names.sort();
    names
}

/// Every page of the workspace: of the root folder, `docs/`, `deploy/`, `tests/` and each crate.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![workspace()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let hidden = name.to_string_lossy().starts_with('.');
            if entry.file_type().unwrap().is_dir() {
                if !hidden && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The texts between "```language" and "```".
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for line in page.lines() {
        match (&mut current, line.trim_end()) {
            (None, line) if line == fence => current = Some(String::new()),
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
