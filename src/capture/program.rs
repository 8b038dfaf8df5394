//! What a program file is: whether Go's compiler made it, of which version, and where its TLS secrets come by.

use std::fs::File;
use std::iter;

use object::read::ReadCacheOps;
use object::read::elf::ElfFile64;
use object::{Architecture, LittleEndian, Object, ObjectSection, ObjectSegment, ObjectSymbol, ReadCache, SectionKind};

use super::breakpoint::{self, Instruction};
use super::pclntab::{Entry, Table};

/// The method that crypto/tls gives every secret to, whether or not somebody asked for them.
const WRITE_KEY_LOG: &str = "crypto/tls.(*Config).writeKeyLog";
/// What the linker puts before version and modules (debug/buildinfo).
const BUILD_INFO: &[u8; 14] = b"\xff Go buildinf:";
/// In the flags of the build information: the strings themselves follow (Go 1.18 on).
const INLINE_STRINGS: u8 = 2;
/// Code bytes at the function's entry that are looked at.
const PROLOGUE: usize = 48;
/// The most of a program that is read, in bytes. The largest Go programs have a few hundred million.
const MOST: u64 = 1 << 30;

/// A program that Go's compiler made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct GoProgram {
    /// As the linker wrote it: `go1.27.3`.
    pub(super) version: Option<String>,
    /// Import path of its main package: `cmd/go`.
    pub(super) path: Option<String>,
    /// Where secrets can be read.
    pub(super) secrets: Secrets,
}

/// Whether secrets can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Secrets {
    /// There.
    At(SecretsAt),
    /// crypto/tls is no part of it.
    None,
    /// crypto/tls is a part of it, and its code is none that is known.
    Unknown,
}

/// Where secrets can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SecretsAt {
    /// The address of the instruction, as the program is linked.
    pub(super) address: u64,
    /// The instruction.
    pub(super) instruction: Instruction,
    /// The program's entry point as linked: its real one minus this is the load base.
    pub(super) entry_point: u64,
    /// How arguments are passed.
    pub(super) convention: Convention,
}

/// How Go passes arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Convention {
    /// In registers (register ABI, Go 1.17 on amd64, 1.18 on arm64).
    Registers,
    /// On the stack (ABI0).
    Stack,
}

impl GoProgram {
    /// Reads a program file. `None` where it is no Go program of a known machine.
    pub(super) fn read(file: &File) -> Option<Self> {
        let cache = ReadCache::new(Bounded { file, left: MOST });
        let elf = ElfFile64::<LittleEndian, _>::parse(&cache).ok()?;
        let (version, path) = build_info(&elf)?;
        let secrets = secrets_at(&elf, version.as_deref());
        Some(Self { version, path, secrets })
    }
}

/// A file of which no more than so much is taken into memory, whatever its headers claim.
struct Bounded<'f> {
    file: &'f File,
    left: u64,
}

impl ReadCacheOps for Bounded<'_> {
    fn len(&mut self) -> Result<u64, ()> {
        ReadCacheOps::len(&mut self.file).map(|length| length.min(MOST))
    }

    fn seek(&mut self, position: u64) -> Result<u64, ()> {
        ReadCacheOps::seek(&mut self.file, position)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ()> {
        ReadCacheOps::read(&mut self.file, buffer)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ()> {
        self.left = u64::try_from(buffer.len()).ok().and_then(|length| self.left.checked_sub(length)).ok_or(())?;
        ReadCacheOps::read_exact(&mut self.file, buffer)
    }
}

type Elf<'f> = ElfFile64<'f, LittleEndian, &'f ReadCache<Bounded<'f>>>;

fn section<'f>(elf: &Elf<'f>, name: &str) -> Option<&'f [u8]> {
    elf.section_by_name(name)?.data().ok()
}

/// Version and main package (debug/buildinfo); `None` where the file has none and is no Go program.
fn build_info(elf: &Elf<'_>) -> Option<(Option<String>, Option<String>)> {
    let Some(info) = section(elf, ".go.buildinfo") else {
        // Linked by another linker it may stand at the start of the data.
        let marked = section(elf, ".note.go.buildid").is_some();
        return marked.then_some((None, None));
    };
    let info = info.strip_prefix(BUILD_INFO)?;
    let [_, flags, ..] = *info else { return None };
    if flags & INLINE_STRINGS != 0 {
        let mut rest = info.get(18..)?;
        let version = take_string(&mut rest).map(|text| String::from_utf8_lossy(text).into_owned());
        let path = take_string(&mut rest).and_then(main_package);
        return Some((version, path));
    }
    // Before Go 1.18 it held the addresses of two strings.
    let version = string_at(elf, u64::from_le_bytes(*info.get(2..)?.first_chunk()?));
    Some((version, None))
}

/// A string with its length before it, as a varint.
fn take_string<'t>(rest: &mut &'t [u8]) -> Option<&'t [u8]> {
    let (mut length, mut shift) = (0_usize, 0_u32);
    loop {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text)
}

/// The main package in a program's module information, whose ends are marked with 16 bytes each.
fn main_package(modules: &[u8]) -> Option<String> {
    let text = modules.get(16..)?;
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"path\t"))?;
    Some(String::from_utf8_lossy(line).into_owned())
}

/// The Go string whose header is at that address.
fn string_at(elf: &Elf<'_>, header: u64) -> Option<String> {
    let words = bytes_at(elf, header, 16)?;
    let (address, length) = words.split_at_checked(8)?;
    let address = u64::from_le_bytes(address.try_into().ok()?);
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    Some(String::from_utf8_lossy(bytes_at(elf, address, length.min(64))?).into_owned())
}

/// What is loaded at an address.
fn bytes_at<'f>(elf: &Elf<'f>, address: u64, length: usize) -> Option<&'f [u8]> {
    let segment =
        elf.segments().find(|segment| address >= segment.address() && address - segment.address() < segment.size())?;
    let data = segment.data_range(address, u64::try_from(length).ok()?).ok()??;
    Some(data)
}

fn secrets_at(elf: &Elf<'_>, version: Option<&str>) -> Secrets {
    // Every Go program has the table, and it is read at once. Symbols are read one by one, and only where it does not help.
    let by_table = from_table(elf);
    if by_table == Some(None) {
        return Secrets::None;
    }
    let by_symbols = iter::once_with(|| from_symbols(elf)).flatten();
    let mut met = false;
    let mut entries = by_table.flatten().into_iter().chain(by_symbols).inspect(|_| met = true);
    let found = entries.find_map(|entry| {
        let code = bytes_at(elf, entry, PROLOGUE)?;
        let (instruction, registers_since) = match elf.architecture() {
            Architecture::X86_64 => (breakpoint::amd64(code)?, 17),
            Architecture::Aarch64 => (breakpoint::arm64(code)?, 18),
            _ => return None,
        };
        let convention = if minor(version?)? >= registers_since { Convention::Registers } else { Convention::Stack };
        let address = entry.checked_add(instruction.offset)?;
        Some(SecretsAt { address, instruction, entry_point: elf.entry(), convention })
    });
    drop(entries);
    match found {
        Some(at) => Secrets::At(at),
        None if met => Secrets::Unknown,
        None => Secrets::None,
    }
}

/// The 27 of `go1.27.3`, and of what developers build (`devel go1.28-…`).
fn minor(version: &str) -> Option<u32> {
    let digits = version.split_once("go1.")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

fn from_symbols(elf: &Elf<'_>) -> Option<u64> {
    elf.symbols().find(|symbol| symbol.name_bytes() == Ok(WRITE_KEY_LOG.as_bytes())).map(|symbol| symbol.address())
}

/// The entry by Go's own table: `None` where there is no table, and inside of it `None` where it lacks the function.
fn from_table(elf: &Elf<'_>) -> Option<Option<u64>> {
    let named = [".gopclntab", ".data.rel.ro.gopclntab"].into_iter().find_map(|name| elf.section_by_name(name));
    let (bytes, address) = match named {
        Some(section) => (section.data().ok()?, section.address()),
        // Stripped position-independent programs keep it among other data.
        None => elf.sections().filter(is_read_only_data).find_map(|section| {
            let data = section.data().ok()?;
            let start = Table::position_in(data)?;
            Some((data.get(start..)?, section.address().checked_add(u64::try_from(start).ok()?)?))
        })?,
    };
    let table = Table::at_start_of(bytes)?;
    match table.function(WRITE_KEY_LOG) {
        None => Some(None),
        Some(Entry::Address(entry)) => Some(Some(entry)),
        Some(Entry::AfterText(offset)) => text(elf, &table, address)?.checked_add(offset).map(Some),
    }
}

fn is_read_only_data<'f, S: ObjectSection<'f>>(section: &S) -> bool {
    matches!(section.name(), Ok(".rodata" | ".data.rel.ro" | ".data" | ".noptrdata"))
}

/// The start of Go's text: from the table, from the module's data, or where the linker has nothing else in the section.
fn text(elf: &Elf<'_>, table: &Table<'_>, table_address: u64) -> Option<u64> {
    let of_module = || {
        // runtime.moduledata begins with the table's address; its text follows six slices and three words.
        elf.sections().filter(|section| section.kind() == SectionKind::Data).find_map(|section| {
            let data = section.data().ok()?;
            memchr::memmem::find_iter(data, &table_address.to_le_bytes())
                .filter_map(|at| data.get(at.checked_add(176)?..)?.first_chunk())
                .map(|word| u64::from_le_bytes(*word))
                .find(|text| bytes_at(elf, *text, 1).is_some())
        })
    };
    table.text().or_else(of_module).or_else(|| elf.section_by_name(".text").map(|section| section.address()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// Machines, kinds of sections and of symbols (elf(5)).
    const X86_64: u16 = 62;
    const AARCH64: u16 = 183;
    const DATA: u32 = 1;
    const SYMBOLS: u32 = 2;
    const STRINGS: u32 = 3;
    const FUNCTION: u8 = 2;
    const BASE: u64 = 0x40_0000;
    /// go1.27.3's prologue.
    const AMD64: &[u8] = b"\x4c\x8d\x64\x24\xd0\x4d\x3b\x66\x10\x0f\x86\x75\x02\x00\x00\x55\x48\x89\xe5";

    /// Name and kind of a section, and what it holds, given its address.
    type Section<'s> = (&'s str, u32, &'s dyn Fn(u64) -> Vec<u8>);

    /// What of an ELF file is counted with fewer bits than memory is.
    fn short<T: TryFrom<usize>>(length: usize) -> T {
        T::try_from(length).ok().unwrap()
    }

    /// A program file with these sections, all of it loaded at [`BASE`]; what they hold may be made of their addresses.
    fn program(machine: u16, sections: &[Section<'_>]) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        let mut names = vec![0];
        let mut headers = vec![[0; 64]];
        let header = |name: u32, kind: u32, flags: u64, at: u64, size: u64, link: u32| {
            let mut header = [0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            for (place, word) in [flags, BASE + at, at, size].into_iter().enumerate() {
                header[8 + 8 * place..16 + 8 * place].copy_from_slice(&word.to_le_bytes());
            }
            header[40..44].copy_from_slice(&link.to_le_bytes());
            header[56..].copy_from_slice(&24_u64.to_le_bytes());
            header
        };
        for (name, kind, content) in sections {
            file.resize(file.len().next_multiple_of(16), 0);
            let at = file.len() as u64;
            let content = content(BASE + at);
            let link = if *kind == SYMBOLS { short::<u32>(headers.len()) + 1 } else { 0 };
            let flags = if *name == ".data" { 3 } else { 2 };
            headers.push(header(short(names.len()), *kind, flags, at, content.len() as u64, link));
            names.extend(name.bytes().chain([0]));
            file.extend(content);
        }
        let at = file.len() as u64;
        headers.push(header(short(names.len()), STRINGS, 0, at, names.len() as u64 + 10, 0));
        names.extend(b".shstrtab\0");
        file.extend(&names);
        let table = file.len() as u64;
        headers.iter().for_each(|header| file.extend(header));
        let length = file.len() as u64;
        file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\0\0");
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[20] = 1;
        for (at, word) in [(24, BASE + 0x77), (32, 64), (40, table)] {
            file[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        for (at, half) in
            [(52, 64), (54, 56), (56, 1), (58, 64), (60, short(headers.len())), (62, short::<u16>(headers.len()) - 1)]
        {
            file[at..at + 2].copy_from_slice(&half.to_le_bytes());
        }
        for (at, word) in [(64, 1 | 5 << 32), (72, 0), (80, BASE), (88, BASE), (96, length), (104, length)] {
            file[at..at + 8].copy_from_slice(&u64::to_le_bytes(word));
        }
        file
    }

    fn read(bytes: &[u8]) -> Option<GoProgram> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        GoProgram::read(&file)
    }

    fn build_information(version: &str) -> Vec<u8> {
        let modules = format!("{0}path\texample.com/tool\nmod\texample.com/tool\t(devel)\n{0}", "#".repeat(16));
        let mut bytes = BUILD_INFO.to_vec();
        bytes.extend([8, INLINE_STRINGS]);
        bytes.resize(32, 0);
        for text in [version, &modules] {
            bytes.push(short(text.len()));
            bytes.extend(text.bytes());
        }
        bytes
    }

    fn symbols(text: u64) -> Vec<u8> {
        let mut bytes = vec![0; 24];
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend([FUNCTION, 0, 1, 0]);
        bytes.extend(text.to_le_bytes());
        bytes.extend(64_u64.to_le_bytes());
        bytes
    }

    fn symbol_names(_: u64) -> Vec<u8> {
        format!("\0{WRITE_KEY_LOG}\0").into_bytes()
    }

    /// A table of Go 1.18's layout with the one function, 8 bytes after the start of the text.
    fn table(text: u64) -> Vec<u8> {
        let names = [b"\0", WRITE_KEY_LOG.as_bytes(), b"\0"].concat();
        let mut bytes = vec![0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
        for word in [1, 0, text, 72, 0, 0, 0, 72 + names.len() as u64] {
            bytes.extend(u64::to_le_bytes(word));
        }
        bytes.extend(names);
        [8_u32, 8, 8, 1].iter().for_each(|half| bytes.extend(half.to_le_bytes()));
        bytes
    }

    fn code(_: u64) -> Vec<u8> {
        [&[0xcc; 8], AMD64, &[0xcc; 64]].concat()
    }

    /// Where the text is: it comes first in all of these programs.
    const TEXT: u64 = BASE + 128;

    fn with_symbols(version: &str) -> Vec<u8> {
        let information = build_information(version);
        program(
            X86_64,
            &[
                (".text", DATA, &code),
                (".go.buildinfo", DATA, &|_| information.clone()),
                (".symtab", SYMBOLS, &|_| symbols(TEXT + 8)),
                (".strtab", STRINGS, &symbol_names),
            ],
        )
    }

    fn stripped(section: &str, text: u64, data: &dyn Fn(u64) -> Vec<u8>) -> Vec<u8> {
        let at = std::cell::Cell::new(0);
        program(
            X86_64,
            &[
                (".text", DATA, &code),
                (".go.buildinfo", DATA, &|_| build_information("go1.26.1")),
                (section, DATA, &|address| {
                    at.set(address);
                    table(text)
                }),
                (".data", DATA, &|_| data(at.get())),
            ],
        )
    }

    fn wanted(version: &str, convention: Convention) -> GoProgram {
        let effect = breakpoint::Effect::PushFramePointer;
        let instruction = Instruction { offset: 15, length: 1, effect };
        let secrets = SecretsAt { address: TEXT + 8 + 15, instruction, entry_point: BASE + 0x77, convention };
        GoProgram {
            version: Some(version.to_owned()),
            path: Some("example.com/tool".to_owned()),
            secrets: Secrets::At(secrets),
        }
    }

    #[test]
    fn with_symbols_the_function_is_found_by_its_own() {
        for version in ["go1.17", "go1.27.3", "devel go1.28-0123abc Mon Nov 2 2026"] {
            assert_eq!(read(&with_symbols(version)), Some(wanted(version, Convention::Registers)), "{version}");
        }
        assert_eq!(read(&with_symbols("go1.16.15")), Some(wanted("go1.16.15", Convention::Stack)));
        assert_eq!(read(&with_symbols("gc")).unwrap().secrets, Secrets::Unknown, "of which version, nobody knows");
    }

    #[test]
    fn stripped_the_function_is_found_by_the_table() {
        let nothing = |_| vec![0; 16];
        let found = wanted("go1.26.1", Convention::Registers);
        for section in [".gopclntab", ".data.rel.ro.gopclntab", ".data.rel.ro", ".rodata"] {
            assert_eq!(read(&stripped(section, TEXT, &nothing)), Some(found.clone()), "{section}");
        }
        assert_eq!(read(&stripped(".gopclntab", 0, &nothing)), Some(found.clone()), "the text is the section's");
        // runtime.moduledata knows where the text is.
        let module = |table: u64| {
            let mut bytes = vec![0; 64];
            bytes.extend(table.to_le_bytes());
            bytes.resize(64 + 176, 0);
            bytes.extend((TEXT + 16).to_le_bytes());
            bytes
        };
        assert_eq!(
            read(&stripped(".gopclntab", 0, &module)).unwrap().secrets,
            Secrets::Unknown,
            "there it is not the function"
        );
        assert_eq!(read(&stripped(".other", TEXT, &nothing)).unwrap().secrets, Secrets::None);
    }

    #[test]
    fn what_is_no_go_program_is_none() {
        assert_eq!(read(b""), None);
        assert_eq!(read(b"#!/bin/sh\n"), None);
        assert_eq!(read(&program(X86_64, &[(".text", DATA, &code)])), None);
        let arm = program(AARCH64, &[(".go.buildinfo", DATA, &|_| build_information("go1.26.1"))]);
        assert_eq!(read(&arm).unwrap().secrets, Secrets::None);
    }

    #[test]
    fn sections_that_claim_too_much_are_not_taken_into_memory() {
        let sound = with_symbols("go1.27.3");
        let table = usize::try_from(u64::from_le_bytes(sound[40..48].try_into().unwrap())).unwrap();
        for section in 1..6 {
            for claimed in [1_u64 << 60, u64::MAX, 1 << 40] {
                let mut bytes = sound.clone();
                bytes[table + 64 * section + 32..][..8].copy_from_slice(&claimed.to_le_bytes());
                let _ = read(&bytes);
            }
        }
        // In a file with a hole, the file's own length is as little to be relied on.
        let mut file = tempfile::tempfile().unwrap();
        let mut bytes = sound;
        bytes[table + 64 * 2 + 32..][..8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
        file.write_all(&bytes).unwrap();
        file.set_len(1 << 41).unwrap();
        assert_eq!(GoProgram::read(&file), None);
    }

    #[test]
    fn this_test_is_no_go_program() {
        assert_eq!(GoProgram::read(&File::open("/proc/self/exe").unwrap()), None);
    }

    proptest! {
        #[test]
        fn spoilt_programs_are_read_as_far_as_they_go(
            stripped_ in any::<bool>(),
            changes in proptest::collection::vec((0_usize..1_200, any::<u64>(), 1_usize..9), 1..6),
            cut in 0_usize..2_400,
        ) {
            let mut bytes = if stripped_ { stripped(".gopclntab", 0, &|_| vec![0; 16]) } else { with_symbols("go1.27.3") };
            for (at, value, length) in changes {
                let value = value.to_le_bytes();
                for (place, byte) in bytes.iter_mut().skip(at).zip(value.iter().take(length)) {
                    *place = *byte;
                }
            }
            if cut < bytes.len() && cut % 3 == 0 {
                bytes.truncate(cut);
            }
            let _ = read(&bytes);
        }
    }
}
