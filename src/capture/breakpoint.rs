//! The instruction that a breakpoint takes the place of, and what it does: doing it by hand means that the breakpoint never
//! has to be lifted, and no thread can run past it meanwhile.
//!
//! The place is behind the check for stack growth, which calls the function again from its start. The arguments are still in
//! their registers there (amd64 and arm64, Go's register ABI), or on the stack (before Go 1.17).

/// The registers of a thread that matter here, whatever they are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Instruction {
    /// Its distance from the function's entry, in bytes.
    pub(super) offset: u64,
    /// Its length in bytes.
    pub(super) length: u64,
    /// What it does.
    pub(super) effect: Effect,
}

/// What an instruction does to a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// `push %rbp`.
    PushFramePointer,
    /// `sub $bytes,%rsp`. (It sets flags, too, which no compiler reads after it here.)
    GrowStack(u64),
    /// `str x30, [sp, #-bytes]!`.
    PushLink(u64),
}

/// Finds the instruction to break at, given a function's first bytes. `None` where they are none that Go's compiler writes.
pub(super) fn amd64(code: &[u8]) -> Option<Instruction> {
    let mut rest = code;
    // The address of the g comes from thread-local storage (before Go 1.17).
    skip(&mut rest, &[0x64, 0x48, 0x8b, 0x0c, 0x25], 4);
    // A larger frame compares not the stack pointer but where it will be: lea -N(%rsp),%r12 or %rax.
    let _ = skip(&mut rest, &[0x4c, 0x8d, 0x64, 0x24], 1)
        || skip(&mut rest, &[0x4c, 0x8d, 0xa4, 0x24], 4)
        || skip(&mut rest, &[0x48, 0x8d, 0x44, 0x24], 1)
        || skip(&mut rest, &[0x48, 0x8d, 0x84, 0x24], 4);
    // cmp 0x10(%r14),%r12 | %rsp; cmp 0x10(%rcx),%rax | %rsp.
    let compares = skip(&mut rest, &[0x4d, 0x3b, 0x66, 0x10], 0)
        || skip(&mut rest, &[0x49, 0x3b, 0x66, 0x10], 0)
        || skip(&mut rest, &[0x48, 0x3b, 0x41, 0x10], 0)
        || skip(&mut rest, &[0x48, 0x3b, 0x61, 0x10], 0);
    let branches = compares && (skip(&mut rest, &[0x76], 1) || skip(&mut rest, &[0x0f, 0x86], 4));
    if !branches {
        return None;
    }
    let offset = u64::try_from(code.len().checked_sub(rest.len())?).ok()?;
    let (length, effect) = match *rest {
        [0x55, ..] => (1, Effect::PushFramePointer),
        [0x48, 0x83, 0xec, bytes, ..] if bytes < 0x80 => (4, Effect::GrowStack(bytes.into())),
        [0x48, 0x81, 0xec, a, b, c, d, ..] if d < 0x80 => {
            (7, Effect::GrowStack(u32::from_le_bytes([a, b, c, d]).into()))
        }
        _ => return None,
    };
    Some(Instruction { offset, length, effect })
}

/// The same for arm64.
pub(super) fn arm64(code: &[u8]) -> Option<Instruction> {
    let words: Vec<u32> =
        code.chunks_exact(4).filter_map(|word| Some(u32::from_le_bytes(word.try_into().ok()?))).collect();
    // ldr x16, [x28, #16]; [sub x17, sp, #N;] cmp sp | x17, x16; b.ls
    let branch = words.iter().take(6).position(|word| word & 0xff00_001f == 0x5400_0009)?;
    if *words.first()? != 0xf940_0b90 {
        return None;
    }
    let next = *words.get(branch + 1)?;
    // str x30, [sp, #-N]!: a signed offset of 9 bits.
    if next & 0xffe0_0fff != 0xf800_0ffe {
        return None;
    }
    let bytes = 512 - u64::from((next >> 12) & 0x1ff);
    let offset = u64::try_from(branch + 1).ok()? * 4;
    (bytes <= 256).then_some(Instruction { offset, length: 4, effect: Effect::PushLink(bytes) })
}

/// Skips an instruction of `opcode` and `operand` further bytes, where it is that.
fn skip(rest: &mut &[u8], opcode: &[u8], operand: usize) -> bool {
    let after = rest.strip_prefix(opcode).and_then(|after| after.get(operand..));
    if let Some(after) = after {
        *rest = after;
    }
    after.is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
    }

    #[test]
    fn amd64_as_the_compilers_wrote_it() {
        let push = Effect::PushFramePointer;
        for (code, offset, length, effect) in [
            // go1.27.3: lea -0x30(%rsp),%r12; cmp 0x10(%r14),%r12; jbe; push %rbp; mov %rsp,%rbp
            ("4c8d6424d0 4d3b6610 0f8675020000 55 4889e5 4881eca8000000", 15, 1, push),
            // go1.21.13 and go1.24.11
            ("4c8d6424e0 4d3b6610 0f86ee010000 55 4889e5 4881ec98000000", 15, 1, push),
            // go1.19.8: sub $0x88,%rsp
            ("4c8d6424f8 4d3b6610 0f860d020000 4881ec88000000 4889ac2480000000", 15, 7, Effect::GrowStack(0x88)),
            // go1.16, the stack ABI: mov %fs:-8,%rcx; lea -8(%rsp),%rax; cmp 0x10(%rcx),%rax; jbe; sub $0x88,%rsp
            ("64488b0c25f8ffffff 488d4424f8 483b4110 0f8656020000 4881ec88000000", 24, 7, Effect::GrowStack(0x88)),
            // Small frames: cmp 0x10(%r14),%rsp; jbe (short)
            ("493b6610 7630 55 4889e5", 6, 1, push),
            ("493b6610 7630 4883ec28 48896c2420", 6, 4, Effect::GrowStack(0x28)),
            ("64488b0c25f8ffffff 483b6110 7645 4883ec40", 15, 4, Effect::GrowStack(0x40)),
            // A frame beyond 128 bytes below the guard: lea -0x1000(%rsp),%r12
            ("4c8da42400f0ffff 4d3b6610 0f8600010000 55", 18, 1, push),
        ] {
            assert_eq!(amd64(&hex(code)), Some(Instruction { offset, length, effect }), "{code}");
        }
    }

    #[test]
    fn amd64_that_is_otherwise_gets_no_breakpoint() {
        for code in [
            "",
            "554889e5",                     // no check for stack growth
            "493b6610 7630",                // cut
            "493b6610 7630 4889c3",         // something else first
            "493b6610 7430 55",             // another condition
            "493b6610 7630 4883ecf8",       // a frame of negative size
            "493b6610 7630 4881ec000000ff", // a frame of negative size
        ] {
            assert_eq!(amd64(&hex(code)), None, "{code}");
        }
    }

    #[test]
    fn arm64_as_the_compilers_wrote_it() {
        // Words as disassemblers show them; in memory they are little-endian.
        for (words, offset, bytes) in [
            // go1.27.3: ldr x16,[x28,#16]; sub x17,sp,#64; cmp x17,x16; b.ls; str x30,[sp,#-192]!
            ([0xf940_0b90, 0xd101_03f1, 0xeb10_023f, 0x5400_1389, 0xf814_0ffe], 16, 192),
            // go1.21.13
            ([0xf940_0b90, 0xd100_c3f1, 0xeb10_023f, 0x5400_1049, 0xf815_0ffe], 16, 176),
            // go1.19.8
            ([0xf940_0b90, 0xd100_43f1, 0xeb10_023f, 0x5400_10a9, 0xf817_0ffe], 16, 144),
            // A small frame: cmp sp,x16
            ([0xf940_0b90, 0xeb30_63ff, 0x5400_0249, 0xf81d_0ffe, 0xf81f_83fd], 12, 48),
        ] {
            let code: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
            let wanted = Instruction { offset, length: 4, effect: Effect::PushLink(bytes) };
            assert_eq!(arm64(&code), Some(wanted), "{words:x?}");
            assert_eq!(arm64(code.get(..usize::try_from(offset).unwrap()).unwrap()), None, "cut before it");
        }
        let other: Vec<u8> =
            [0xa9bf_7bfd_u32, 0x5400_1389, 0xf814_0ffe].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(arm64(&other), None, "C's compilers begin otherwise");
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_not(code in proptest::collection::vec(any::<u8>(), 0..64)) {
            for found in [amd64(&code), arm64(&code)].into_iter().flatten() {
                prop_assert!(found.offset + found.length <= code.len() as u64);
            }
        }
    }
}
