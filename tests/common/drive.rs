//! Drives: image files behind loop devices, plugged in, unplugged and yanked.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use super::folder::Folder;
use super::harness::ATTACHED;
use super::{attempt, eventually, run, until};

/// What a drive is formatted with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Filesystem {
    /// Btrfs, metadata once.
    Btrfs,
    /// Ext4.
    Ext4,
    /// exFAT, by FUSE.
    ExFat,
    /// A LUKS container that nobody can open here: this kernel has no device-mapper.
    Luks,
}

/// A drive. What is on it stays on it, plugged in or not.
pub struct Drive {
    /// The label of its filesystem.
    pub label: String,
    /// The UUID of its filesystem.
    pub uuid: String,
    image: PathBuf,
    ground: PathBuf,
    filesystem: Filesystem,
    owner: Option<u32>,
    device: Option<PathBuf>,
    point: PathBuf,
}

/// Makes the device end after its first sector, as if the rest had gone: reads and writes fail, what was written before
/// stays on the image. The fields of `struct loop_info64` are in loop(4); `lo_sizelimit` is at byte 32.
const YANK: &str = "
import fcntl, os, struct, sys
device, info = os.open(sys.argv[1], os.O_RDWR), bytearray(232)
fcntl.ioctl(device, 0x4C05, info)
struct.pack_into('<Q', info, 32, 512)
fcntl.ioctl(device, 0x4C04, info)
";

impl Drive {
    /// Makes an image and formats it.
    pub fn make(
        ground: &Path,
        image: &Path,
        label: &str,
        filesystem: Filesystem,
        mebibytes: u64,
        owner: Option<u32>,
    ) -> Self {
        std::fs::File::create(image).unwrap().set_len(mebibytes << 20).unwrap();
        match filesystem {
            Filesystem::Btrfs => run("mkfs.btrfs", &[&"-q", &"-m", &"single", &"-L", &label, &image]),
            Filesystem::Ext4 => run("mkfs.ext4", &[&"-q", &"-m", &"0", &"-L", &label, &image]),
            Filesystem::ExFat => run("mkfs.exfat", &[&"-L", &label, &image]),
            Filesystem::Luks => {
                let key = image.with_extension("key");
                std::fs::write(&key, "another passphrase").unwrap();
                let format =
                    "cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \"$0\" \"$1\"";
                run("sh", &[&"-ec", &format, &image, &key])
            }
        };
        let uuid = run("blkid", &[&"-p", &"-s", &"UUID", &"-o", &"value", &image]);
        let point = PathBuf::from(format!("/run/media/{label}-{uuid}"));
        let drive = Self {
            label: label.into(),
            uuid,
            image: image.into(),
            ground: ground.into(),
            filesystem,
            owner,
            device: None,
            point,
        };
        if let Some(owner) = owner {
            drive.edit(|root| std::os::unix::fs::chown(root, Some(owner), Some(owner)).unwrap());
        }
        drive
    }

    /// Another drive with the same bytes, UUID and all.
    pub fn clone_of(&self, image: &Path) -> Self {
        assert!(self.device.is_none(), "unplug a drive before it is cloned");
        run("cp", &[&"--sparse=always", &self.image, &image]);
        let point = PathBuf::from(format!("/run/media/{}-clone", self.label));
        Self {
            label: self.label.clone(),
            uuid: self.uuid.clone(),
            image: image.into(),
            ground: self.ground.clone(),
            filesystem: self.filesystem,
            owner: self.owner,
            device: None,
            point,
        }
    }

    /// Makes the drive ready for a sync to `VOLUME:NAME`, by hand and as the layout says.
    pub fn prepared_for(self, name: &str) -> Self {
        self.edit(|root| self.prepare(root, name));
        self
    }

    fn prepare(&self, root: &Path, name: &str) {
        let destination = root.join(name);
        std::fs::create_dir_all(&destination).unwrap();
        std::fs::write(root.join(".nbkp-vol"), "").unwrap();
        std::fs::write(destination.join(".nbkp-dst"), "").unwrap();
        std::fs::create_dir(destination.join("snapshots")).unwrap();
        std::os::unix::fs::symlink("/dev/null", destination.join("latest")).unwrap();
        if self.filesystem == Filesystem::Btrfs {
            run("btrfs", &[&"subvolume", &"create", &destination.join("staging")]);
        }
        if let Some(owner) = self.owner {
            run("chown", &[&"-R", &"-h", &format!("{owner}:{owner}"), &root]);
        }
    }

    /// Makes the drive ready for a sync without snapshots.
    pub fn prepared_plainly_for(self, name: &str) -> Self {
        self.edit(|root| {
            std::fs::create_dir_all(root.join(name)).unwrap();
            std::fs::write(root.join(".nbkp-vol"), "").unwrap();
            std::fs::write(root.join(name).join(".nbkp-dst"), "").unwrap();
        });
        self
    }

    /// Flips one bit where this lies on the medium, while it is not plugged in.
    pub fn rot(&self, text: &[u8]) {
        let mut image = std::fs::read(&self.image).unwrap();
        let at = image.windows(text.len()).position(|window| window == text).expect("it lies on the medium");
        image[at + text.len() / 2] ^= 1;
        std::fs::write(&self.image, image).unwrap();
    }

    /// Changes what is on the drive while it is not plugged in, out of sight of who watches mounts at `/run/media`.
    pub fn edit<T>(&self, change: impl FnOnce(&Path) -> T) -> T {
        assert!(self.device.is_none(), "unplug a drive before it is edited");
        let point = self.image.with_extension("edit");
        std::fs::create_dir_all(&point).unwrap();
        run("mount", &[&"-o", &"loop", &self.image, &point]);
        let answer = change(&point);
        // A daemon that runs looks at what is mounted, wherever that is, and keeps it busy for a moment.
        until("the image is unmounted", || attempt("umount", &[&point]).status.success());
        until("the image is let go", || self.devices().is_empty());
        answer
    }

    /// Plugs it in, and mounts it like a desktop does once udev knows it.
    pub fn plug(&mut self) {
        self.attach();
        self.mount();
    }

    /// Plugs it in; nobody mounts it.
    pub fn attach(&mut self) {
        self.clear_away();
        let device = PathBuf::from(run("losetup", &[&"--find", &"--show", &self.image]));
        self.note(&device);
        until("udev knows the drive", || self.known_to_udev(&device));
        self.device = Some(device);
    }

    /// Writes down what was attached, so that it is detached even if this process is killed.
    fn note(&self, device: &Path) {
        let list = OpenOptions::new().append(true).create(true).open(self.ground.join(ATTACHED));
        writeln!(list.unwrap(), "{} {}", device.display(), disk_sequence(device)).unwrap();
    }

    fn known_to_udev(&self, device: &Path) -> bool {
        let properties = attempt("udevadm", &[&"info", &"--query=property", &device]);
        String::from_utf8_lossy(&properties.stdout).contains(&format!("ID_FS_UUID={}", self.uuid))
    }

    /// Mounts it where a desktop would.
    pub fn mount(&self) {
        self.mount_with("rw");
    }

    /// Mounts it with these options.
    pub fn mount_with(&self, options: &str) {
        std::fs::create_dir_all(&self.point).unwrap();
        match self.filesystem {
            Filesystem::ExFat => run("mount.exfat-fuse", &[&"-o", &options, &self.device(), &self.point]),
            Filesystem::Btrfs | Filesystem::Ext4 | Filesystem::Luks => {
                run("mount", &[&"-o", &options, &self.device(), &self.point])
            }
        };
    }

    /// Mounts it in this very moment, without a program in between.
    pub fn mount_at_once(&self) {
        std::fs::create_dir_all(&self.point).unwrap();
        let filesystem = if self.filesystem == Filesystem::Btrfs { "btrfs" } else { "ext4" };
        rustix::mount::mount(self.device(), &self.point, filesystem, MountFlags::empty(), None).unwrap();
    }

    /// Changes the options of its mount.
    pub fn remount_with(&self, options: &str) {
        run("mount", &[&"-o", &format!("remount,{options}"), &self.point]);
    }

    /// Unmounts it, as its user does; it stays plugged in.
    pub fn unmount(&self) {
        // Somebody may have it open for a moment.
        until("the drive is not busy", || attempt("umount", &[&self.point]).status.success());
    }

    /// Unmounts it and pulls it out.
    pub fn unplug(&mut self) {
        self.unmount();
        self.detach();
    }

    /// Pulls it out, mounted and in use: every further read and write fails.
    pub fn yank(&self) {
        run("python3", &[&"-c", &YANK, &self.device()]);
    }

    /// Takes away the mount and the device that a yanked drive left behind, as udisks does.
    pub fn clear_away(&mut self) {
        if self.device.is_some() {
            attempt("umount", &[&"--lazy", &self.point]);
            self.detach();
        }
    }

    fn detach(&mut self) {
        if let Some(device) = self.device.take() {
            attempt("losetup", &[&"--detach", &device]);
            // A device that is still open is let go by the kernel once it is closed.
            until("the device is let go", || self.devices().is_empty());
        }
    }

    fn devices(&self) -> Vec<String> {
        let listed = run("losetup", &[&"--noheadings", &"--raw", &"--output", &"NAME", &"--associated", &self.image]);
        listed.lines().map(str::to_owned).collect()
    }

    /// The file that it is made of.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// The node of the plugged-in drive.
    pub fn device(&self) -> PathBuf {
        self.device.clone().expect("a drive that is plugged in")
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Writes everything to the device.
    pub fn flush(&self) {
        run("sync", &[&"-f", &self.point]);
    }

    /// A destination on the mounted drive.
    pub fn destination(&self, name: &str) -> Destination {
        Destination { root: self.point.join(name) }
    }
}

/// The number that the kernel gives to each medium; nothing for a device without one.
pub fn disk_sequence(device: &Path) -> String {
    let name = device.file_name().unwrap_or_default();
    let attached = Path::new("/sys/block").join(name).join("loop/backing_file").exists();
    let number = super::text_of(Path::new("/sys/block").join(name).join("diskseq"));
    if attached { number.trim().to_owned() } else { String::new() }
}

/// A destination with snapshots, as the layout says.
pub struct Destination {
    /// Its directory.
    pub root: PathBuf,
}

impl Destination {
    /// The complete snapshots: those whose names say so, oldest first.
    pub fn snapshots(&self) -> Vec<String> {
        self.entries().into_iter().filter(|name| !name.starts_with('.')).collect()
    }

    /// What is unfinished: those whose names begin with a dot.
    pub fn unfinished(&self) -> Vec<String> {
        self.entries().into_iter().filter(|name| name.starts_with('.')).collect()
    }

    fn entries(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.root.join("snapshots"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// What a snapshot holds.
    pub fn snapshot(&self, name: &str) -> Folder {
        Folder::at(self.root.join("snapshots").join(name))
    }

    /// The name that `latest` points to.
    #[track_caller]
    pub fn latest_name(&self) -> String {
        let target = std::fs::read_link(self.root.join("latest")).expect("a link `latest`");
        let target = target.to_string_lossy().into_owned();
        target.strip_prefix("snapshots/").unwrap_or_else(|| panic!("`latest` points to {target}")).to_owned()
    }

    /// What `latest` holds; it must be a complete snapshot, and the newest.
    #[track_caller]
    pub fn latest(&self) -> Folder {
        let name = self.latest_name();
        assert_eq!(self.snapshots().last(), Some(&name), "`latest` is not the newest snapshot");
        self.snapshot(&name)
    }

    /// The lines of the log on the destination.
    pub fn log(&self) -> Vec<serde_json::Value> {
        let text = super::text_of(self.root.join(".nbkp/log.jsonl"));
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Waits until there are this many complete snapshots.
    #[track_caller]
    pub fn gets(&self, count: usize) -> Vec<String> {
        eventually(&format!("there are {count} snapshots"), || Some(self.snapshots()).filter(|s| s.len() == count))
    }
}
