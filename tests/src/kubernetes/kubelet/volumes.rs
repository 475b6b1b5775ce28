//! The volumes of a pod as folders, laid out as a kubelet lays them out and swaps them.
//! Not here: where containers see them; volumes of storage classes and drivers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::fields::field;
use crate::http::Call;
use crate::issuer::{encode, random};
use crate::kubernetes::api::Api;
use crate::kubernetes::objects::{name, uid};
use crate::process::wait_for;

/// The Node authorizer learns of a pod a moment after it was bound.
const ALLOWED: Duration = Duration::from_secs(20);
const MODE: u32 = 0o644;

/// Files of a volume: by their paths in it, what they hold and their mode.
type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// Where the volumes of a pod are.
#[derive(Debug)]
pub(super) struct Volumes {
    api: Api,
    folder: PathBuf,
}

impl Volumes {
    /// Made by the kubelet that this API knows.
    pub(super) fn new(api: Api, folder: &Path) -> Self {
        Self { api, folder: folder.to_owned() }
    }

    /// The folder of a volume.
    pub(super) fn path(&self, volume: &str) -> PathBuf {
        self.folder.join(volume)
    }

    /// Makes all of them, or brings them up to date: tokens anew, the rest as it is now.
    pub(super) async fn write(&self, pod: &Value) {
        for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
            let folder = self.path(volume["name"].as_str().unwrap());
            fs::create_dir_all(&folder).unwrap();
            if volume.get("emptyDir").is_some() {
                // As kubelets do: whoever runs in the pod may write.
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
                continue;
            }
            swap(&folder, &self.files(pod, volume).await);
        }
    }

    async fn files(&self, pod: &Value, volume: &Value) -> Files {
        let mut files = Files::new();
        let Some(projected) = volume.get("projected") else {
            let mut members = volume.as_object().unwrap().iter();
            let (kind, source) = members.find(|(kind, _)| *kind != "name").unwrap();
            self.project(pod, (kind, source), mode(source, "defaultMode", MODE), &mut files).await;
            return files;
        };
        let default = mode(projected, "defaultMode", MODE);
        for source in projected["sources"].as_array().unwrap() {
            for (kind, source) in source.as_object().unwrap() {
                self.project(pod, (kind, source), default, &mut files).await;
            }
        }
        files
    }

    async fn project(&self, pod: &Value, (kind, source): (&str, &Value), default: u32, files: &mut Files) {
        match kind {
            "serviceAccountToken" => {
                let path = source["path"].as_str().unwrap().to_owned();
                files.insert(path, (self.token(pod, source).await.into_bytes(), default));
            }
            "downwardAPI" => {
                for item in source["items"].as_array().unwrap() {
                    let text = field(pod, item["fieldRef"]["fieldPath"].as_str().unwrap());
                    let path = item["path"].as_str().unwrap().to_owned();
                    files.insert(path, (text.into_bytes(), mode(item, "mode", default)));
                }
            }
            "configMap" | "secret" => self.keys(pod, (kind, source), default, files).await,
            other => panic!("the stand-in for a kubelet has no volumes of kind `{other}`"),
        }
    }

    /// The keys of a config map or a secret, all of them or those that are listed.
    async fn keys(&self, pod: &Value, (kind, source): (&str, &Value), default: u32, files: &mut Files) {
        let named = source.get("name").or_else(|| source.get("secretName")).and_then(Value::as_str).unwrap();
        let path = format!("{}/{}s/{named}", namespace(pod), kind.to_lowercase());
        let optional = source["optional"] == true;
        let data = data(&self.allowed(&path, || Call::get(&path), optional).await, kind == "secret");
        let Some(items) = source["items"].as_array() else {
            files.extend(data.into_iter().map(|(key, value)| (key, (value, default))));
            return;
        };
        for item in items {
            let (key, path) = (item["key"].as_str().unwrap(), item["path"].as_str().unwrap());
            let value = data.get(key);
            assert!(value.is_some() || optional, "`{named}` has no `{key}`");
            files.extend(value.map(|value| (path.to_owned(), (value.clone(), mode(item, "mode", default)))));
        }
    }

    /// A token as the projection asks for it, bound to the pod.
    async fn token(&self, pod: &Value, source: &Value) -> String {
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap();
        let path = format!("{}/serviceaccounts/{account}/token", namespace(pod));
        let audiences: Vec<&str> = source["audience"].as_str().into_iter().collect();
        let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": name(pod), "uid": uid(pod)});
        let seconds = source["expirationSeconds"].as_u64().unwrap_or(3600);
        let spec = json!({"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound});
        let answer = self.allowed(&path, || Call::json(&path, &json!({"spec": spec})), false).await;
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// Makes a call until the server knows that this node may make it.
    async fn allowed(&self, what: &str, call: impl Fn() -> Call, optional: bool) -> Value {
        let mut given = Value::Null;
        wait_for(what, ALLOWED, async || {
            let answer = self.api.call(call()).await.unwrap();
            let is_given = answer.status < 300;
            if is_given {
                given = answer.json();
            }
            is_given || (optional && answer.status == 404)
        })
        .await;
        given
    }
}

fn namespace(pod: &Value) -> String {
    format!("/api/v1/namespaces/{}", pod["metadata"]["namespace"].as_str().unwrap())
}

fn mode(source: &Value, member: &str, default: u32) -> u32 {
    source[member].as_u64().map_or(default, |mode| u32::try_from(mode).unwrap())
}

/// What a config map or a secret holds.
fn data(object: &Value, is_secret: bool) -> BTreeMap<String, Vec<u8>> {
    let members = |member: &str| object[member].as_object().cloned().unwrap_or_default();
    let bytes = |value: &Value, is_encoded: bool| {
        let text = value.as_str().unwrap();
        if is_encoded { STANDARD.decode(text).unwrap() } else { text.into() }
    };
    let texts = members("data").into_iter().map(|(key, value)| (key, bytes(&value, is_secret)));
    texts.chain(members("binaryData").into_iter().map(|(key, value)| (key, bytes(&value, true)))).collect()
}

/// Replaces all files of a volume in one step: a new folder, and the link `..data` turned to it. What is seen by
/// name are links through `..data`.
fn swap(volume: &Path, files: &Files) {
    let data = volume.join("..data");
    let before = fs::read_link(&data).ok();
    let folder = format!("..{}", encode(&random()));
    fs::create_dir_all(volume.join(&folder)).unwrap();
    for (path, (content, mode)) in files {
        let file = volume.join(&folder).join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).unwrap();
    }
    let next = volume.join("..data_tmp");
    symlink(&folder, &next).unwrap();
    fs::rename(&next, &data).unwrap();
    for path in files.keys() {
        let first = path.split('/').next().unwrap();
        let _ = symlink(Path::new("..data").join(first), volume.join(first));
    }
    if let Some(before) = before {
        fs::remove_dir_all(volume.join(before)).unwrap();
    }
}
