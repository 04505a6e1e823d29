//! What was changed of a drive, as JSON: one file for each volume, with a version.

use serde::{Deserialize, Serialize};

use crate::model::{Held, Undo};

const VERSION: u32 = 1;

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

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    volume: String,
    uuid: String,
    device: (u32, u32),
    disk_seq: Option<u64>,
    boot: Option<String>,
    undo: UndoWord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum UndoWord {
    Nothing,
    Unmount,
    Lock,
}

/// Reads it.
pub fn parse(bytes: &[u8]) -> Result<Held, HeldError> {
    let File { version, volume, uuid, device, disk_seq, boot, undo } = serde_json::from_slice(bytes)?;
    if version > VERSION {
        return Err(HeldError::Newer(version));
    }
    Ok(Held {
        volume: volume.parse().map_err(|_| HeldError::Name)?,
        uuid: uuid.parse().map_err(|_| HeldError::Name)?,
        device,
        disk_seq,
        boot,
        undo: match undo {
            UndoWord::Nothing => Undo::Nothing,
            UndoWord::Unmount => Undo::Unmount,
            UndoWord::Lock => Undo::Lock,
        },
    })
}

/// Writes it, with a line end.
#[must_use]
pub fn write(held: &Held) -> Vec<u8> {
    let file = File {
        version: VERSION,
        volume: held.volume.to_string(),
        uuid: held.uuid.to_string(),
        device: held.device,
        disk_seq: held.disk_seq,
        boot: held.boot.clone(),
        undo: match held.undo {
            Undo::Nothing => UndoWord::Nothing,
            Undo::Unmount => UndoWord::Unmount,
            Undo::Lock => UndoWord::Lock,
        },
    };
    // Our own types always have a JSON text.
    let mut text = serde_json::to_vec(&file).unwrap_or_default();
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        for undo in [Undo::Nothing, Undo::Unmount, Undo::Lock] {
            let held = Held {
                volume: "usb".parse().unwrap(),
                uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap(),
                device: (8, 17),
                disk_seq: Some(9),
                boot: Some("b".into()),
                undo,
            };
            assert_eq!(parse(&write(&held)).unwrap(), held);
        }
        // As the first version wrote it.
        let old = br#"{"version":1,"volume":"usb","uuid":"5E3F-1A2B","device":[8,1],"disk_seq":null,"boot":null,"undo":"lock"}"#;
        assert_eq!(parse(old).unwrap().undo, Undo::Lock);
        assert!(matches!(
            parse(br#"{"version":2,"volume":"usb","uuid":"5E3F-1A2B","device":[8,1],"undo":"lock"}"#),
            Err(HeldError::Newer(2))
        ));
        assert!(matches!(parse(b"{"), Err(HeldError::Damaged(_))));
    }
}
