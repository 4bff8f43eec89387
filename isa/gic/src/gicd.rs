//! The distributor's registers: offsets and fields (IHI 0048B 4.3; IHI 0069 12.9). What only one version has says so.

/// Bytes of the frame in version 2.
pub const SIZE_V2: u64 = 0x1000;
/// Bytes of the frame in version 3.
pub const SIZE_V3: u64 = 0x1_0000;

/// Control.
pub const CTLR: u64 = 0x000;
/// Type, read-only.
pub const TYPER: u64 = 0x004;
/// Implementer, read-only.
pub const IIDR: u64 = 0x008;
/// Type 2, read-only (v3).
pub const TYPER2: u64 = 0x00c;
/// Error status (v3).
pub const STATUSR: u64 = 0x010;
/// Set a message-based SPI, non-secure (v3).
pub const SETSPI_NSR: u64 = 0x040;
/// Clear a message-based SPI, non-secure (v3).
pub const CLRSPI_NSR: u64 = 0x048;
/// Group, one bit each.
pub const IGROUPR: u64 = 0x080;
/// Set-enable, one bit each.
pub const ISENABLER: u64 = 0x100;
/// Clear-enable, one bit each.
pub const ICENABLER: u64 = 0x180;
/// Set-pending, one bit each.
pub const ISPENDR: u64 = 0x200;
/// Clear-pending, one bit each.
pub const ICPENDR: u64 = 0x280;
/// Set-active, one bit each.
pub const ISACTIVER: u64 = 0x300;
/// Clear-active, one bit each.
pub const ICACTIVER: u64 = 0x380;
/// Priority, one byte each.
pub const IPRIORITYR: u64 = 0x400;
/// Target CPUs, one byte each (v2, or without affinity routing).
pub const ITARGETSR: u64 = 0x800;
/// Configuration, two bits each, of which the upper means [edge](ICFGR_EDGE).
pub const ICFGR: u64 = 0xc00;
/// Group modifier, one bit each (v3).
pub const IGRPMODR: u64 = 0xd00;
/// Non-secure access control, two bits each.
pub const NSACR: u64 = 0xe00;
/// Software generated interrupt, write-only (v2, or without affinity routing).
pub const SGIR: u64 = 0xf00;
/// Clear-pending of SGIs, one byte each (v2).
pub const CPENDSGIR: u64 = 0xf10;
/// Set-pending of SGIs, one byte each (v2).
pub const SPENDSGIR: u64 = 0xf20;
/// Routing, eight bytes each, counted from interrupt 0; 32 is the first that has one (v3).
pub const IROUTER: u64 = 0x6000;
/// Peripheral ID 2 in version 2's frame: [`arch_rev`].
pub const PIDR2_V2: u64 = 0xfe8;
/// Peripheral ID 2 in version 3's frames, the redistributor's, too: [`arch_rev`].
pub const PIDR2_V3: u64 = 0xffe8;

/// ICFGR's two bits of an edge-triggered interrupt.
pub const ICFGR_EDGE: u32 = 0b10;

/// Byte offset of the 32-bit register, in a bank of registers with one bit each, in which interrupt `id` has its bit.
pub const fn bit_register(bank: u64, id: u32) -> u64 {
    bank + (id as u64 / 32) * 4
}

/// Byte offset of an interrupt's routing register (v3).
pub const fn irouter(id: u32) -> u64 {
    IROUTER + id as u64 * 8
}

/// Fields of [`CTLR`], as a system with one security state has them (`DS` = 1), or as non-secure software sees them.
pub mod ctlr {
    /// Group 0 is forwarded; the only group of a GICv2 seen by non-secure software.
    pub const ENABLE_GRP0: u32 = 1 << 0;
    /// Group 1 is forwarded; non-secure software of a system with two security states sees it as bit 0, and this, with
    /// affinity routing, as EnableGrp1A.
    pub const ENABLE_GRP1: u32 = 1 << 1;
    /// Affinity routing (v3).
    pub const ARE: u32 = 1 << 4;
    /// One security state (v3).
    pub const DS: u32 = 1 << 6;
    /// A write has not taken effect everywhere (v3).
    pub const RWP: u32 = 1 << 31;
}

/// Fields of [`TYPER`].
pub mod typer {
    /// ITLinesNumber that tells `interrupts`, rounded up to 32 and at most 1020.
    pub const fn lines(interrupts: u32) -> u32 {
        let banks = interrupts.div_ceil(32);
        let banks = if banks < 1 { 1 } else { banks };
        if banks > 32 { 31 } else { banks - 1 }
    }

    /// How many interrupt numbers there are, SGIs and PPIs among them: 32 to 1020.
    pub const fn interrupts(typer: u32) -> u32 {
        let all = ((typer & 0x1f) + 1) * 32;
        if all > 1020 { 1020 } else { all }
    }

    /// CPUNumber: CPU interfaces (v2, or without affinity routing), 1 to 8.
    pub const fn cpus(typer: u32) -> u32 {
        ((typer >> 5) & 7) + 1
    }

    /// CPUNumber that tells `cpus`, 1 to 8.
    pub const fn cpu_number(cpus: u32) -> u32 {
        (cpus.saturating_sub(1) & 7) << 5
    }

    /// Two security states.
    pub const SECURITY_EXTN: u32 = 1 << 10;
    /// Message-based SPIs (v3).
    pub const MBIS: u32 = 1 << 16;
    /// LPIs (v3).
    pub const LPIS: u32 = 1 << 17;
    /// IDbits: interrupt numbers have this many bits (v3).
    pub const fn id_bits(typer: u32) -> u32 {
        ((typer >> 19) & 0x1f) + 1
    }
    /// IDbits that tells `bits` (v3).
    pub const fn with_id_bits(bits: u32) -> u32 {
        (bits.saturating_sub(1) & 0x1f) << 19
    }
    /// Affinity level 3 may be other than zero (v3).
    pub const A3V: u32 = 1 << 24;
    /// "One of N" routing is not supported (v3).
    pub const NO_1N: u32 = 1 << 25;
    /// SGIs reach Aff0 of 16 and above (v3).
    pub const RSS: u32 = 1 << 26;
}

/// ArchRev of peripheral ID 2: the architecture's version.
pub const fn arch_rev(pidr2: u32) -> u32 {
    (pidr2 >> 4) & 0xf
}

/// Which CPUs an SGI goes to (`GICD_SGIR.TargetListFilter`, v2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SgiTargets {
    /// Those in the mask.
    List(u8),
    /// All but the one that asks.
    Others,
    /// The one that asks.
    Own,
}

/// [`SGIR`]'s targets and number (0 to 15); `None` for the reserved filter.
pub const fn decode_sgir(value: u32) -> Option<(SgiTargets, u32)> {
    let targets = match (value >> 24) & 3 {
        0 => SgiTargets::List((value >> 16) as u8),
        1 => SgiTargets::Others,
        2 => SgiTargets::Own,
        _ => return None,
    };
    Some((targets, value & 0xf))
}

/// The value of [`SGIR`] that sends SGI `n`.
pub const fn encode_sgir(targets: SgiTargets, n: u32) -> u32 {
    let to = match targets {
        SgiTargets::List(mask) => (mask as u32) << 16,
        SgiTargets::Others => 1 << 24,
        SgiTargets::Own => 2 << 24,
    };
    to | (n & 0xf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_register_tells_what_was_put_in() {
        for (interrupts, told) in
            [(0, 32), (32, 32), (33, 64), (288, 288), (1019, 1020), (1020, 1020), (5000, 1020)]
        {
            assert_eq!(typer::interrupts(typer::lines(interrupts)), told);
        }
        for n in 1..=8 {
            assert_eq!(typer::cpus(typer::cpu_number(n)), n);
        }
        assert_eq!(typer::id_bits(typer::with_id_bits(16)), 16);
    }

    #[test]
    fn an_sgi_survives_its_register() {
        for targets in [SgiTargets::List(0x5a), SgiTargets::Others, SgiTargets::Own] {
            assert_eq!(decode_sgir(encode_sgir(targets, 9)), Some((targets, 9)));
        }
        assert_eq!(decode_sgir(3 << 24), None);
    }

    #[test]
    fn registers_lie_where_the_manual_has_them() {
        assert_eq!(bit_register(ISENABLER, 33), 0x104);
        assert_eq!(irouter(32), 0x6100);
    }
}
