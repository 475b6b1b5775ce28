//! The file sink against a real file system: crashes, a full disk, altered and shared files.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use symbolon_audit::{
    AppendError, Event, FileSink, MAX_BATCH, OpenError, Opened, Outcome, Record, Summary, verify,
};
use symbolon_identity::Timestamp;

fn record(number: u64) -> Record {
    let time = Timestamp::from_secs(1_800_000_000).unwrap();
    Record::new(Event::TokenIssued, time, Outcome::Success).with_detail("number", number)
}

fn check(path: &Path) -> Summary {
    verify(BufReader::new(File::open(path).unwrap())).unwrap()
}

/// Runs `work` beside the writer of an open sink.
async fn using<T>(opened: Opened, work: impl AsyncFnOnce(FileSink) -> T) -> T {
    let (sink, writer) = (opened.sink, opened.writer);
    tokio::join!(writer.run(), work(sink)).1
}

async fn append(path: &Path, numbers: std::ops::Range<u64>) {
    using(FileSink::open(path).unwrap(), async |sink| {
        for number in numbers {
            sink.append(record(number)).await.unwrap();
        }
    })
    .await;
}

fn file_in(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("audit.jsonl")
}

#[tokio::test]
async fn records_of_many_callers_share_flushes_and_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_in(&folder);
    using(FileSink::open(&path).unwrap(), async |sink| {
        let callers: Vec<_> = (0..10 * MAX_BATCH).collect();
        let appends = callers.iter().map(|number| {
            let sink = sink.clone();
            let record = record(u64::try_from(*number).unwrap());
            async move { sink.append(record).await.unwrap().sequence }
        });
        let mut tasks = tokio::task::JoinSet::new();
        appends.for_each(|append| drop(tasks.spawn(append)));
        let mut numbers = tasks.join_all().await;
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=640).collect::<Vec<_>>());
        assert!(sink.is_healthy());
    })
    .await;
    append(&path, 0..3).await;
    let summary = check(&path);
    assert_eq!((summary.records, summary.first_sequence, summary.last_sequence), (643, Some(1), Some(643)));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_unfinished_write_is_cut_off_and_kept_beside_the_file() {
    for torn in [&b"{\"hash\":\"half"[..], b"\0\0\0\0\0\0", b"{\"hash\":\"x\0\0\n\0"] {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(&folder);
        append(&path, 0..5).await;
        OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();
        if !torn.contains(&b'\n') {
            assert_eq!(check(&path).torn_bytes, u64::try_from(torn.len()).unwrap());
        }
        let opened = FileSink::open(&path).unwrap();
        assert_eq!((opened.last_sequence, opened.repaired_bytes), (5, u64::try_from(torn.len()).unwrap()));
        drop(opened);
        append(&path, 5..7).await;
        assert_eq!(check(&path), Summary { records: 7, torn_bytes: 0, ..check(&path) });
        let kept = fs::read(folder.path().join("audit.jsonl.torn")).unwrap();
        assert!(kept.starts_with(torn));
    }
}

#[tokio::test]
async fn an_altered_end_is_not_mended_but_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_in(&folder);
    append(&path, 0..5).await;
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = good.lines().collect();
    let without_third = [lines[0], lines[1], lines[3], lines[4], ""].join("\n");
    for altered in [good.replace("\"number\":4", "\"number\":9"), without_third, format!("{good}hello\n")] {
        fs::write(&path, &altered).unwrap();
        assert!(matches!(FileSink::open(&path), Err(OpenError::Altered(_))), "{altered}");
        assert!(verify(altered.as_bytes()).is_err());
    }
    fs::write(&path, good.split_inclusive('\n').skip(2).collect::<String>()).unwrap();
    append(&path, 5..6).await;
    assert_eq!((check(&path).first_sequence, check(&path).last_sequence), (Some(3), Some(6)));
}

#[tokio::test]
async fn one_zero_byte_does_not_cut_off_what_was_on_record_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_in(&folder);
    append(&path, 0..80).await;
    let good = fs::read(&path).unwrap();
    let tenth = good.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(9).unwrap().0;
    let mut altered = good.clone();
    altered[tenth - 3] = 0;
    fs::write(&path, &altered).unwrap();
    assert!(matches!(FileSink::open(&path), Err(OpenError::Altered(_))));
    assert_eq!(fs::read(&path).unwrap(), altered, "nothing was cut off");
}

#[tokio::test]
async fn a_long_file_is_resumed_from_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_in(&folder);
    let large = "x".repeat(60_000);
    using(FileSink::open(&path).unwrap(), async |sink| {
        for number in 0..90 {
            sink.append(record(number).with_detail("large", large.clone())).await.unwrap();
        }
        let too_large = record(0).with_detail("large", large.repeat(2));
        assert!(matches!(sink.append(too_large).await, Err(AppendError::Record(_))));
        assert_eq!(sink.append(record(90)).await.unwrap().sequence, 91);
    })
    .await;
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"torn").unwrap();
    assert_eq!(FileSink::open(&path).unwrap().last_sequence, 91);
    append(&path, 0..1).await;
    assert_eq!(check(&path).records, 92);
}

#[tokio::test]
async fn only_one_writer_and_only_regular_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_in(&folder);
    let first = FileSink::open(&path).unwrap();
    assert!(matches!(FileSink::open(&path), Err(OpenError::InUse)));
    drop(first);
    FileSink::open(&path).unwrap();
    assert!(FileSink::open(Path::new("/dev/full")).is_err());
    assert!(FileSink::open(folder.path()).is_err());
    std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
    assert!(FileSink::open(&folder.path().join("link")).is_err());
}

#[tokio::test]
async fn a_removed_file_is_an_error_and_not_a_silent_loss() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_in(&folder);
    using(FileSink::open(&path).unwrap(), async |sink| {
        sink.append(record(0)).await.unwrap();
        fs::remove_file(&path).unwrap();
        let gone = sink.append(record(1)).await;
        assert_eq!(gone, Err(AppendError::Unavailable(std::io::ErrorKind::NotFound)));
        assert!(!sink.is_healthy());
    })
    .await;
}

#[tokio::test]
async fn a_sink_whose_writer_ended_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { sink, writer, .. } = FileSink::open(&file_in(&folder)).unwrap();
    drop(writer);
    assert_eq!(sink.append(record(0)).await, Err(AppendError::Closed));
}

const CHILD_FILE: &str = "SYMBOLON_TEST_AUDIT_FILE";

/// The process that the tests below start: appends for ever, from eight callers at once, and says on standard
/// output what was acknowledged (`+N`) or why not (`!`).
#[test]
#[ignore = "started by other tests as a process of its own"]
fn child_that_appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_FILE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(using(FileSink::open(Path::new(&path)).unwrap(), async |sink| {
        let mut tasks = tokio::task::JoinSet::new();
        for caller in 0..8 {
            let sink = sink.clone();
            tasks.spawn(async move {
                for number in 0.. {
                    let line = match sink.append(record(caller * 1_000_000 + number)).await {
                        Ok(receipt) => format!("+{}\n", receipt.sequence),
                        Err(AppendError::Unavailable(_)) => "!\n".to_owned(),
                        Err(error) => panic!("{error}"),
                    };
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            });
        }
        tasks.join_all().await;
    }));
}

fn start_child(path: &Path, before: &str) -> Child {
    let mut command = Command::new("sh");
    let program = std::env::current_exe().unwrap();
    command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\"")).arg(program);
    command.args(["--exact", "child_that_appends_until_it_is_killed", "--ignored", "--nocapture"]);
    command.env(CHILD_FILE, path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Reads what the child says until `enough`; gives the highest acknowledged record.
fn listen(child: &mut Child, mut enough: impl FnMut(&str) -> bool) -> u64 {
    let mut highest = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut stopped = false;
    while lines.read_line(&mut line).unwrap() > 0 {
        let said = line.trim_end();
        if let Some(number) = said.strip_prefix('+') {
            highest = highest.max(number.parse().unwrap());
        }
        if !stopped && enough(said) {
            // What was said before the kill is still in the pipe and counts.
            child.kill().unwrap();
            stopped = true;
        }
        line.clear();
    }
    child.wait().unwrap();
    highest
}

#[test]
fn after_each_kill_every_acknowledged_record_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_in(&folder);
    let mut acknowledged = 0;
    for round in 1..=8_u32 {
        let mut child = start_child(&path, "");
        let mut left = 40 * round;
        let highest = listen(&mut child, |said| {
            left = left.saturating_sub(u32::from(said.starts_with('+')));
            left == 0
        });
        assert!(highest > acknowledged, "round {round}");
        acknowledged = highest;
        let summary = check(&path);
        assert!(summary.last_sequence >= Some(acknowledged), "{summary:?}, acknowledged {acknowledged}");
        assert_eq!(summary.first_sequence, Some(1));
    }
}

#[test]
fn a_full_disk_is_an_error_and_writing_resumes_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_in(&folder);
    // A limit on the file's size stands for a full disk: a write ends in the middle, the next one fails.
    let mut child = start_child(&path, "trap '' XFSZ; ulimit -S -f 40;");
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (mut refused, mut afterwards) = (0_u32, 0_u32);
    let highest = listen(&mut child, |said| {
        if said == "!" {
            refused += 1;
            if refused == 100 {
                let limit = Rlimit { current: None, maximum: None };
                prlimit(process, Resource::Fsize, limit).unwrap();
            }
        } else if refused >= 100 && said.starts_with('+') {
            afterwards += 1;
        }
        afterwards >= 200
    });
    let summary = check(&path);
    assert!(summary.last_sequence >= Some(highest), "{summary:?}, acknowledged {highest}");
    assert_eq!((summary.first_sequence, refused >= 100), (Some(1), true));
}
