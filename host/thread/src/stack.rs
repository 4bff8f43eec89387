//! Where threads have their stacks: guarded memory of ours or, on the development machine, what its
//! operating system gives them.

#[cfg(target_os = "none")]
pub(crate) use host_mem::Stack;

#[cfg(not(target_os = "none"))]
pub(crate) use hosted::Stack;

#[cfg(not(target_os = "none"))]
mod hosted {
    /// No memory at all.
    pub(crate) struct Stack;

    /// Never happens.
    #[derive(Debug)]
    pub(crate) struct NoMemory;

    impl Stack {
        pub(crate) fn new(_bytes: usize) -> Result<Self, NoMemory> {
            Ok(Self)
        }
        pub(crate) fn top(&self) -> *mut u8 {
            core::ptr::null_mut()
        }
    }
}
