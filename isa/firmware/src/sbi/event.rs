//! Events of the PMU extension (11.1 to 11.4): a type in bits 19:16, a code in bits 15:0.

/// An event that a guest asks a counter for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A general hardware event.
    Hardware(u16),
    /// A cache's.
    Cache(u16),
    /// One of the platform's own, whose number is elsewhere.
    Raw,
    /// Something that the firmware does.
    Firmware(FirmwareEvent),
    /// Another one.
    Other(u32),
}

impl Event {
    /// The event of this index.
    pub const fn decode(index: u32) -> Self {
        let code = (index & 0xffff) as u16;
        match index >> 16 {
            0 => Self::Hardware(code),
            1 => Self::Cache(code),
            2 => Self::Raw,
            15 => match FirmwareEvent::decode(code) {
                Some(event) => Self::Firmware(event),
                None => Self::Other(index),
            },
            _ => Self::Other(index),
        }
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// What the firmware counts (Table 24).
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub enum FirmwareEvent {
            $($(#[$doc])* $name = $code,)*
        }

        impl FirmwareEvent {
            /// All of them, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The event of this code.
            pub const fn decode(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

events! {
    /// A misaligned load was emulated.
    MisalignedLoad = 0;
    /// A misaligned store was.
    MisalignedStore = 1;
    /// A load found nothing.
    AccessLoad = 2;
    /// A store did.
    AccessStore = 3;
    /// An illegal instruction.
    IllegalInstruction = 4;
    /// The timer was set.
    SetTimer = 5;
    /// An interrupt was sent to another hart.
    IpiSent = 6;
    /// One was received.
    IpiReceived = 7;
    /// FENCE.I was asked of another hart.
    FenceISent = 8;
    /// It was done for another hart.
    FenceIReceived = 9;
    /// SFENCE.VMA was asked of another hart.
    SfenceVmaSent = 10;
    /// It was done for another hart.
    SfenceVmaReceived = 11;
    /// SFENCE.VMA for one ASID was asked of another hart.
    SfenceVmaAsidSent = 12;
    /// It was done for another hart.
    SfenceVmaAsidReceived = 13;
    /// HFENCE.GVMA was asked of another hart.
    HfenceGvmaSent = 14;
    /// It was done for another hart.
    HfenceGvmaReceived = 15;
    /// HFENCE.GVMA for one VMID was asked of another hart.
    HfenceGvmaVmidSent = 16;
    /// It was done for another hart.
    HfenceGvmaVmidReceived = 17;
    /// HFENCE.VVMA was asked of another hart.
    HfenceVvmaSent = 18;
    /// It was done for another hart.
    HfenceVvmaReceived = 19;
    /// HFENCE.VVMA for one ASID was asked of another hart.
    HfenceVvmaAsidSent = 20;
    /// It was done for another hart.
    HfenceVvmaAsidReceived = 21;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_tells_type_and_code() {
        assert_eq!(Event::decode(1), Event::Hardware(1));
        assert_eq!(Event::decode(0x1_0019), Event::Cache(0x19));
        assert_eq!(Event::decode(0x2_0000), Event::Raw);
        assert_eq!(Event::decode(0xf_0005), Event::Firmware(FirmwareEvent::SetTimer));
        assert_eq!(Event::decode(0xf_ffff), Event::Other(0xf_ffff));
        for (code, event) in (0..).zip(FirmwareEvent::ALL) {
            assert_eq!((FirmwareEvent::decode(code), *event as u16), (Some(*event), code));
        }
    }
}
