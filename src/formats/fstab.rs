//! `/etc/fstab`, as mount(8) reads it (fstab(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::mountinfo::unescaped;
use crate::model::FstabLine;

/// The lines that name a directory. One that makes no sense is left out, as mount(8) does.
#[must_use]
pub fn lines(bytes: &[u8]) -> Vec<FstabLine> {
    bytes.split(|byte| *byte == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<FstabLine> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let spec = fields.next().filter(|field| !field.starts_with(b"#"))?;
    let point = unescaped(fields.next()?);
    // Swap is mounted nowhere: `none`, or `swap` in older files.
    if !point.starts_with(b"/") {
        return None;
    }
    let spec = String::from_utf8_lossy(&unescaped(spec)).into_owned();
    let mut point = point;
    while point.len() > 1 && point.last() == Some(&b'/') {
        point.pop();
    }
    Some(FstabLine { spec, point: OsString::from_vec(point).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_somewhere_is_read() {
        let text = b"# /etc/fstab: static file system information.\n\
            UUID=2D57-7679\t/boot/efi  vfat umask=0077 0 1\n\
            /dev/sdb1 /mnt/my\\040disk/ ext4\n\
            \n   # indented remark\n\
            LABEL=backup / btrfs defaults\n\
            UUID=1 none swap sw 0 0\n\
            /swapfile swap swap\n\
            lonely\n";
        let found: Vec<_> = lines(text).into_iter().map(|line| (line.spec, line.point.display().to_string())).collect();
        let expected = [("UUID=2D57-7679", "/boot/efi"), ("/dev/sdb1", "/mnt/my disk"), ("LABEL=backup", "/")];
        assert_eq!(found, expected.map(|(spec, point)| (spec.to_owned(), point.to_owned())));
    }
}
