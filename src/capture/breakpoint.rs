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
