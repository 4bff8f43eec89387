//! An initrd, mounted and read.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;

/// An archive in the `newc` form: mode, name and content of each file.
fn archive(files: &[(u32, &str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let trailer: (u32, &str, &[u8]) = (0, "TRAILER!!!", b"");
    for (mode, name, data) in files.iter().chain([&trailer]) {
        let name = format!("{name}\0");
        let numbers = [0, *mode, 0, 0, 1, 99, data.len() as u32, 0, 0, 0, 0, name.len() as u32, 0];
        bytes.extend_from_slice(b"070701");
        for number in numbers {
            bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        for part in [name.as_bytes(), data] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

const FILE: u32 = 0o100_644;
const DIRECTORY: u32 = 0o040_755;
const LINK: u32 = 0o120_777;

// One test: sources and mounts are the machine's, and there is one machine.
#[test]
fn files_of_an_initrd_are_found_listed_and_read() {
    let files = archive(&[
        (DIRECTORY, ".", b""),
        (DIRECTORY, "images", b""),
        (FILE, "./images/Image", b"kernel"),
        (FILE, "boot.xscript", b"old"),
        (FILE, "/boot.xscript", b"guest kick guest0\n"),
        (FILE, "a/b/c.txt", b""),
        (LINK, "guest0/kernel", b"../images/Image"),
        (LINK, "k", b"/guest0/kernel"),
        (LINK, "loop", b"loop"),
        (LINK, "up", b"../../.."),
        (0o020_600, "console", b""),
    ]);
    let why = |error: Error| error.why;
    assert_eq!(open("/boot.xscript").map_err(why).err(), Some(Why::NotFound));
    publish_image("initrd", &*Box::leak(files.clone().into_boxed_slice()));
    assert_eq!(mount("disk", "/").unwrap_err().to_string(), "disk: no such source");
    mount("initrd", "/").unwrap();
    assert_eq!(mount("initrd", "//").map_err(why), Err(Why::AlreadyMounted));

    let root: Vec<String> = list("/").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(root, ["a", "boot.xscript", "console", "guest0", "images", "k", "loop", "up"]);
    assert_eq!(
        list("/a/b").unwrap()[0].stat,
        Stat { kind: Kind::File, length: 0, permissions: 0o644, modified: 99 }
    );

    let file = open("/images/../boot.xscript").unwrap();
    let mut tail = [0; 8];
    assert_eq!((file.length(), file.path()), (18, "/boot.xscript"));
    assert_eq!(file.read_at(11, &mut tail), Ok(7));
    assert_eq!(&tail, b"guest0\n\0");
    assert_eq!(file.read_at(u64::MAX, &mut tail), Ok(0));
    for path in ["/guest0/kernel", "/k", "/up/images/Image"] {
        assert_eq!(&*bytes(path).unwrap(), b"kernel", "{path}");
    }

    assert_eq!(open("/loop").map_err(why).err(), Some(Why::TooManyLinks));
    assert_eq!(open("/console").map_err(why).err(), Some(Why::NotAFile));
    assert_eq!(open("/images").map_err(why).err(), Some(Why::IsADirectory));
    assert_eq!(list("/k").map_err(why), Err(Why::NotADirectory));
    assert_eq!(open("/k/x").unwrap_err().to_string(), "/k/x: not a directory");
    assert_eq!(stat("images").unwrap_err().to_string(), "images: the path does not begin with /");
    assert_eq!(stat("/none").unwrap_err().to_string(), "/none: no such file or directory");

    // A second source over a directory, made of owned bytes.
    publish_image("more", archive(&[(FILE, "x", b"y")]));
    assert_eq!(mount("more", "/boot.xscript").map_err(why), Err(Why::NotADirectory));
    assert_eq!(mount("more", "/nowhere").map_err(why), Err(Why::NotFound));
    mount("more", "/images").unwrap();
    assert_eq!(stat("/images/Image").map_err(why), Err(Why::NotFound));
    let kept = bytes("/images/x").unwrap();
    assert_eq!(mounts()[1], Mount { source: "more".into(), path: "/images".into(), filesystem: "cpio" });

    assert_eq!(umount("/").map_err(why), Err(Why::Busy));
    umount("/images").unwrap();
    assert_eq!(&*kept, b"y");
    assert_eq!(umount("/images").map_err(why), Err(Why::NotMounted));
    assert_eq!(umount("/").map_err(why), Err(Why::Busy), "a file is open");
    drop(file);
    umount("/").unwrap();
    assert!(mounts().is_empty());

    // What is damaged is refused, and nothing is mounted.
    publish_image("bad", files[..files.len() - 130].to_vec());
    assert!(matches!(mount("bad", "/").map_err(why), Err(Why::Corrupt(_))));
    publish_image("bad", b"no archive at all".to_vec());
    assert!(matches!(mount("bad", "/").map_err(why), Err(Why::NotRecognized(_))));
    publish_image("bad", [&[0x1f, 0x8b, 8, 0][..], &[0; 30]].concat());
    assert!(matches!(mount("bad", "/").map_err(why), Err(Why::Corrupt(_))));
    for name in ["../x", "boot.xscript/x"] {
        publish_image("bad", archive(&[(FILE, "boot.xscript", b""), (FILE, name, b"")]));
        assert!(matches!(mount("bad", "/").map_err(why), Err(Why::Corrupt(_))), "{name}");
    }
    assert!(mounts().is_empty());
    assert_eq!(sources(), ["initrd", "more", "bad"]);
}
