//! What a program file is: whether Go's compiler made it, of which version, and where its TLS secrets come by.

use std::fs::File;

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

/// A program that Go's compiler made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct GoProgram {
    /// As the linker wrote it: `go1.27.3`.
    pub(super) version: Option<String>,
    /// Import path of its main package: `cmd/go`.
    pub(super) path: Option<String>,
    /// Where secrets can be read; `None` where crypto/tls is not part of it, or its code is not known.
    pub(super) secrets: Option<SecretsAt>,
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
        let cache = ReadCache::new(file);
        let elf = ElfFile64::<LittleEndian, _>::parse(&cache).ok()?;
        let (version, path) = build_info(&elf)?;
        let secrets = secrets_at(&elf, version.as_deref());
        Some(Self { version, path, secrets })
    }
}

type Elf<'f> = ElfFile64<'f, LittleEndian, &'f ReadCache<&'f File>>;

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

fn secrets_at(elf: &Elf<'_>, version: Option<&str>) -> Option<SecretsAt> {
    let candidates = [from_symbols(elf), from_table(elf)];
    let machine = elf.architecture();
    candidates.into_iter().flatten().find_map(|entry| {
        let code = bytes_at(elf, entry, PROLOGUE)?;
        let (instruction, registers_since) = match machine {
            Architecture::X86_64 => (breakpoint::amd64(code)?, 17),
            Architecture::Aarch64 => (breakpoint::arm64(code)?, 18),
            _ => return None,
        };
        let convention = if minor(version?)? >= registers_since { Convention::Registers } else { Convention::Stack };
        let address = entry.checked_add(instruction.offset)?;
        Some(SecretsAt { address, instruction, entry_point: elf.entry(), convention })
    })
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

fn from_table(elf: &Elf<'_>) -> Option<u64> {
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
    match table.function(WRITE_KEY_LOG)? {
        Entry::Address(entry) => Some(entry),
        Entry::AfterText(offset) => text(elf, &table, address)?.checked_add(offset),
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
