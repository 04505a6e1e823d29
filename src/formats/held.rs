//! What was changed of a drive, as JSON: one file for each volume, with a version.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{Held, HeldAt, ServerKey, Undo};

/// What was changed of a drive of this machine.
const HERE: u32 = 1;
/// What was changed of a drive of a server.
const THERE: u32 = 2;

/// Why bytes do not tell what was changed.
#[derive(Debug, thiserror::Error)]
pub enum HeldError {
    /// They are not JSON, or not of this shape.
    #[error("it is damaged")]
    Damaged(#[from] serde_json::Error),
    /// A later version of the program wrote them.
    #[error("it is of version {0}, which a later version of the program wrote")]
    Newer(u32),
    /// A name in it cannot be one.
    #[error("it holds a name that cannot be one")]
    Name,
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Here {
    version: u32,
    volume: String,
    uuid: String,
    device: (u32, u32),
    disk_seq: Option<u64>,
    boot: Option<String>,
    undo: UndoWord,
}

#[derive(Serialize, Deserialize)]
struct There {
    version: u32,
    volume: String,
    uuid: String,
    server: Vec<String>,
    node: PathBuf,
    disk_seq: String,
    boot: String,
    undo: UndoWord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum UndoWord {
    Nothing,
    Unmount,
    Lock,
}

impl From<UndoWord> for Undo {
    fn from(word: UndoWord) -> Self {
        match word {
            UndoWord::Nothing => Self::Nothing,
            UndoWord::Unmount => Self::Unmount,
            UndoWord::Lock => Self::Lock,
        }
    }
}

impl From<Undo> for UndoWord {
    fn from(undo: Undo) -> Self {
        match undo {
            Undo::Nothing => Self::Nothing,
            Undo::Unmount => Self::Unmount,
            Undo::Lock => Self::Lock,
        }
    }
}

/// Reads it.
pub fn from_bytes(bytes: &[u8]) -> Result<Held, HeldError> {
    let Head { version } = serde_json::from_slice(bytes)?;
    match version {
        HERE => {
            let Here { volume, uuid, device, disk_seq, boot, undo, .. } = serde_json::from_slice(bytes)?;
            held(&volume, &uuid, HeldAt::Here { device, disk_seq, boot }, undo)
        }
        THERE => {
            let There { volume, uuid, server, node, disk_seq, boot, undo, .. } = serde_json::from_slice(bytes)?;
            let endpoints: Result<_, _> = server.iter().map(|endpoint| endpoint.parse()).collect();
            let server = ServerKey(endpoints.map_err(|_| HeldError::Name)?);
            held(&volume, &uuid, HeldAt::There { server, node, disk_seq, boot }, undo)
        }
        newer => Err(HeldError::Newer(newer)),
    }
}

fn held(volume: &str, uuid: &str, at: HeldAt, undo: UndoWord) -> Result<Held, HeldError> {
    let volume = volume.parse().map_err(|_| HeldError::Name)?;
    let uuid = uuid.parse().map_err(|_| HeldError::Name)?;
    Ok(Held { volume, uuid, at, undo: undo.into() })
}

/// Writes it, with a line end.
#[must_use]
pub fn to_bytes(held: &Held) -> Vec<u8> {
    let (volume, uuid, undo) = (held.volume.to_string(), held.uuid.to_string(), held.undo.into());
    let text = match &held.at {
        HeldAt::Here { device, disk_seq, boot } => {
            let (device, disk_seq, boot) = (*device, *disk_seq, boot.clone());
            serde_json::to_vec(&Here { version: HERE, volume, uuid, device, disk_seq, boot, undo })
        }
        HeldAt::There { server, node, disk_seq, boot } => {
            let server = server.0.iter().map(ToString::to_string).collect();
            let (node, disk_seq, boot) = (node.clone(), disk_seq.clone(), boot.clone());
            serde_json::to_vec(&There { version: THERE, volume, uuid, server, node, disk_seq, boot, undo })
        }
    };
    // Our own types always have a JSON text; nodes of devices are ASCII.
    let mut text = text.unwrap_or_default();
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let here = HeldAt::Here { device: (8, 17), disk_seq: Some(9), boot: Some("b".into()) };
        let server = ServerKey(vec!["lan".parse().unwrap(), "wan".parse().unwrap()]);
        let there = HeldAt::There { server, node: "/dev/sdb1".into(), disk_seq: "9".into(), boot: "b".into() };
        for (undo, at) in [(Undo::Nothing, &here), (Undo::Unmount, &there), (Undo::Lock, &here), (Undo::Lock, &there)] {
            let held = Held {
                volume: "usb".parse().unwrap(),
                uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap(),
                at: at.clone(),
                undo,
            };
            assert_eq!(from_bytes(&to_bytes(&held)).unwrap(), held);
        }
        // As the first version wrote it.
        let old = br#"{"version":1,"volume":"usb","uuid":"5E3F-1A2B","device":[8,1],
            "disk_seq":null,"boot":null,"undo":"lock"}"#;
        assert_eq!(from_bytes(old).unwrap().undo, Undo::Lock);
        let first_of_servers = br#"{"version":2,"volume":"attic","uuid":"5E3F-1A2B","server":["lan"],
            "node":"/dev/sdb1","disk_seq":"9","boot":"b","undo":"unmount"}"#;
        assert_eq!(from_bytes(first_of_servers).unwrap().undo, Undo::Unmount);
        assert!(matches!(
            from_bytes(br#"{"version":3,"volume":"usb","uuid":"5E3F-1A2B","device":[8,1],"undo":"lock"}"#),
            Err(HeldError::Newer(3))
        ));
        assert!(matches!(from_bytes(b"{"), Err(HeldError::Damaged(_))));
    }
}
