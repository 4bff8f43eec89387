//! Syndromes composed by hand from the manual's fields.
use super::{Abort, Class, Esr, Fault, SysAccess, Wait, extend, ipa};
use crate::{Gpr, SysReg};

#[test]
fn a_store_to_a_device_is_told_by_its_syndrome() {
    // str w3, [x1] that faults in stage 2 at level 3.
    let esr = Esr::new(0x9383_0047);
    assert_eq!(esr.class(), Class::DABT_LOWER);
    assert_eq!(esr.instruction_bytes(), 4);
    let abort = Abort::new(esr);
    assert!(abort.is_write() && !abort.in_stage1_walk() && abort.far_is_valid() && abort.hpfar_is_valid());
    assert_eq!(abort.fault(), Fault::Translation(3));
    let transfer = abort.transfer().unwrap();
    assert_eq!((transfer.bytes(), transfer.register().index()), (4, 3));
    assert!(!transfer.sign_extends() && !transfer.is_64bit() && !transfer.is_ordered());
}

#[test]
fn an_abort_without_isv_has_no_transfer() {
    assert_eq!(Abort::new(Esr::new(0x9200_0046)).transfer(), None);
}

#[test]
fn loads_extend_as_the_instruction_says() {
    assert_eq!(extend(0x1234_5680, 1, true, true), 0xffff_ffff_ffff_ff80);
    assert_eq!(extend(0x1234_5680, 1, true, false), 0xffff_ff80);
    assert_eq!(extend(0x1234_5680, 1, false, true), 0x80);
    assert_eq!(extend(u64::MAX, 8, false, true), u64::MAX);
    assert_eq!(extend(u64::MAX, 4, false, false), 0xffff_ffff);
    assert_eq!(extend(0x8000_0000, 4, true, true), 0xffff_ffff_8000_0000);
    assert_eq!(extend(0x8000, 2, true, true), 0xffff_ffff_ffff_8000);
}

#[test]
fn a_trapped_msr_names_its_register() {
    // msr icc_sgi1r_el1, x7: Op0 3, Op1 0, CRn 12, CRm 11, Op2 5.
    let iss = (3 << 20) | (5 << 17) | (12 << 10) | (7 << 5) | (11 << 1);
    let access = SysAccess::new(Esr::compose(Class::SYS, iss));
    assert_eq!(access.register(), SysReg::ICC_SGI1R_EL1);
    assert_eq!(access.rt().index(), 7);
    assert!(!access.is_read());
}

#[test]
fn the_four_waits_are_told_apart() {
    let wait = |iss| Wait::new(Esr::compose(Class::WAIT, iss));
    assert_eq!(wait(0x1e0_0000), Wait::Interrupt);
    assert_eq!(wait(0x1e0_0001), Wait::Event);
    assert_eq!(wait(0x1e0_0066), Wait::InterruptUntil(Some(Gpr::new(3))));
    assert_eq!(wait(0x1e0_0063), Wait::EventUntil(None));
}

#[test]
fn the_ipa_is_the_page_of_hpfar_and_the_offset_of_far() {
    assert_eq!(ipa(0x9_0000, 0xffff_8000_1234_5018), 0x900_0018);
    assert_eq!(ipa(0x8000_0000_0009_0000, 0), 0x900_0000, "NS is no part of the address");
}

#[test]
fn every_code_decodes_and_levels_come_with_it() {
    assert_eq!(Fault::from_code(0x0d), Fault::Permission(1));
    assert_eq!(Fault::from_code(0x2b), Fault::Translation(-1));
    assert_eq!(Fault::from_code(0x16), Fault::ExternalOnWalk(2));
    for code in 0..64 {
        let _ = Fault::from_code(code);
    }
}
