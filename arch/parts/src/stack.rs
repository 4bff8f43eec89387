//! Threads that do not run: all that is kept of one lies on its stack.

/// The stack pointer of a thread that does not run.
#[derive(Debug)]
#[repr(transparent)]
pub struct Saved(usize);

/// Lays `words` on top of a stack, the first lowest: what a switch to the thread takes from there.
///
/// # Safety
/// The caller owns the memory below `stack_top`, as many words of it, and `stack_top` is aligned to 16 bytes.
pub unsafe fn lay<const WORDS: usize>(stack_top: *mut u8, words: [usize; WORDS]) -> Saved {
    let frame = stack_top.cast::<usize>().wrapping_sub(WORDS);
    // SAFETY: the caller's promise.
    unsafe { core::ptr::copy_nonoverlapping(words.as_ptr(), frame, WORDS) };
    Saved(frame as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lie_right_below_the_top() {
        let mut stack = [0usize; 8];
        let top = stack.as_mut_ptr_range().end;
        // SAFETY: three words of `stack`.
        let Saved(at) = unsafe { lay(top.cast(), [1, 2, 3]) };
        assert_eq!(at, top as usize - 3 * size_of::<usize>());
        assert_eq!(stack, [0, 0, 0, 0, 0, 1, 2, 3]);
    }
}
