use vio::irq::fake;

use super::*;

/// Two CPUs with files of 255 identities, whose lines lead to pins 0 and 1.
fn imsic() -> (Arc<Imsic>, Arc<fake::Pins>) {
    let pins = fake::Pins::new(2);
    let files = (0..2).map(|pin| File::new(Gpa::new(0x2800_0000), pins.line(pin), 255)).collect();
    (Arc::new(Imsic { base: 0x2800_0000, files, places: vec![0, 1] }), pins)
}

fn register(number: u32) -> Access {
    Access { offset: u64::from(INDIRECT | number), width: Width::B8, by: 0 }
}
const CLAIM: Access = Access { offset: STOPEI as u64, width: Width::B8, by: 0 };

fn read(imsic: &Arc<Imsic>, number: u32) -> u64 {
    Registers(imsic.clone()).read(register(number)).unwrap()
}
fn write(imsic: &Arc<Imsic>, number: u32, value: u64) {
    Registers(imsic.clone()).write(register(number), value).unwrap();
}
/// `csrrw rd, stopei, zero`.
fn claim(imsic: &Arc<Imsic>) -> u32 {
    let registers = Registers(imsic.clone());
    let top = registers.read(CLAIM).unwrap();
    registers.write(CLAIM, 0).unwrap();
    isa_aia::imsic::identity(top)
}
fn store(imsic: &Arc<Imsic>, offset: u64, value: u32) -> Result<(), Refused> {
    Pages(imsic.clone()).write(Access { offset, width: Width::B4, by: 1 }, value.into())
}
/// All of the first CPU's identities come.
fn set_up(imsic: &Arc<Imsic>) {
    write(imsic, select::EIDELIVERY, 1);
    for word in 0..4 {
        write(imsic, select::EIE0 + 2 * word, u64::MAX);
    }
}

#[test]
fn messages_are_claimed_lowest_identity_first_and_each_once() {
    let (imsic, pins) = imsic();
    set_up(&imsic);
    imsic.send(imsic.address(0).unwrap(), 200);
    imsic.send(imsic.address(0).unwrap(), 7);
    imsic.send(imsic.address(0).unwrap(), 7);
    assert!(pins.level(0) && !pins.level(1));
    assert_eq!([claim(&imsic), claim(&imsic), claim(&imsic)], [7, 200, 0]);
    assert!(!pins.level(0));
}

#[test]
fn what_comes_between_the_two_halves_of_a_claim_is_not_lost() {
    let (imsic, _) = imsic();
    set_up(&imsic);
    store(&imsic, SETEIPNUM_LE, 9).unwrap();
    let registers = Registers(imsic.clone());
    assert_eq!(registers.read(CLAIM).unwrap(), topei(9));
    store(&imsic, SETEIPNUM_LE, 3).unwrap();
    registers.write(CLAIM, 0).unwrap();
    assert_eq!([claim(&imsic), claim(&imsic)], [3, 0]);
}

#[test]
fn delivery_and_enables_and_the_threshold_hold_the_line_down() {
    let (imsic, pins) = imsic();
    store(&imsic, SETEIPNUM_LE, 5).unwrap();
    assert_eq!(read(&imsic, select::EIP0), 1 << 5, "pending before it is enabled");
    write(&imsic, select::EIE0, 1 << 5);
    assert!(!pins.level(0));
    write(&imsic, select::EIDELIVERY, 1);
    assert!(pins.level(0));
    write(&imsic, select::EITHRESHOLD, 5);
    assert!(!pins.level(0), "identities from the threshold on wait");
    assert_eq!(claim(&imsic), 0);
    write(&imsic, select::EITHRESHOLD, 6);
    assert!(pins.level(0));
    write(&imsic, select::EIDELIVERY, 0);
    assert!(!pins.level(0));
    assert_eq!(claim(&imsic), 5, "a claim does not ask whether the file delivers");
}

#[test]
fn both_byte_orders_of_the_page_are_understood() {
    let (imsic, _) = imsic();
    store(&imsic, SETEIPNUM_BE, 70u32.swap_bytes()).unwrap();
    assert_eq!(read(&imsic, select::EIP0 + 2), 1 << 6);
    store(&imsic, FILE_SIZE, 1).unwrap();
    assert_eq!(Pages(imsic.clone()).read(Access { offset: 0, width: Width::B4, by: 0 }), Ok(0));
    assert_eq!(store(&imsic, 2 * FILE_SIZE, 1), Err(Refused::Nothing));
    let wide = Access { offset: 0, width: Width::B8, by: 0 };
    assert_eq!(Pages(imsic.clone()).write(wide, 1), Err(Refused::Width));
}

#[test]
fn what_does_not_exist_keeps_nothing() {
    let (imsic, pins) = imsic();
    set_up(&imsic);
    for identity in [0, 256, u32::MAX] {
        store(&imsic, SETEIPNUM_LE, identity).unwrap();
    }
    assert!(!pins.level(0));
    assert_eq!(read(&imsic, select::EIE0), !1);
    write(&imsic, select::EIE0 + 8, u64::MAX);
    assert_eq!(read(&imsic, select::EIE0 + 8), 0);
    write(&imsic, select::EIDELIVERY, isa_aia::imsic::DELIVER_APLIC);
    assert_eq!(read(&imsic, select::EIDELIVERY), 0);
    write(&imsic, 0x30, u64::MAX);
    assert_eq!(read(&imsic, 0x30), 0, "priorities are the architecture's");
    assert_eq!(Registers(imsic.clone()).read(register(select::EIE0 + 1)), Err(Refused::Nothing));
    assert_eq!(imsic.address(2), None);
    imsic.send(imsic.base + 4, 1);
    imsic.send(0, 1);
    assert!(!pins.level(0));
}

#[test]
fn a_reset_forgets_everything_of_its_cpu() {
    let (imsic, pins) = imsic();
    set_up(&imsic);
    store(&imsic, SETEIPNUM_LE, 9).unwrap();
    store(&imsic, FILE_SIZE, 9).unwrap();
    let chip = Chip(imsic.clone());
    chip.reset_cpu(0);
    assert!(!pins.level(0));
    assert_eq!([read(&imsic, select::EIP0), read(&imsic, select::EIE0)], [0, 0]);
    assert_eq!(imsic.files[1].state.lock().pending[0], 1 << 9);
    chip.reset();
    assert_eq!(imsic.files[1].state.lock().pending[0], 0);
}

#[test]
fn what_the_hardware_had_comes_back_and_nothing_interrupts_meanwhile() {
    let (imsic, pins) = imsic();
    set_up(&imsic);
    write(&imsic, select::EITHRESHOLD, 100);
    store(&imsic, SETEIPNUM_LE, 9).unwrap();
    let mut image = FileImage::EMPTY;
    imsic.files[0].lend(FilePage::NOWHERE, &mut image);
    assert!(!pins.level(0), "the hardware interrupts");
    assert_eq!((image.delivers, image.threshold, image.pending[0]), (true, 100, 1 << 9));
    assert_eq!(image.enabled[..5], [!1, !0, !0, !0, 0]);
    store(&imsic, SETEIPNUM_LE, 10).unwrap();
    assert!(!pins.level(0), "passed on");
    assert_eq!(Registers(imsic.clone()).read(CLAIM), Err(Refused::Unsettled));
    assert_eq!(read(&imsic, 0x30), 0, "priorities are nobody's: the file stays where it is");
    imsic.files[0].take_back(&mut |back| {
        *back = image.clone();
        (back.threshold, back.pending) = (0, [0; 32]);
        (back.pending[2], back.pending[31]) = (1 << 7, !0);
    });
    assert!(pins.level(0));
    assert_eq!([claim(&imsic), claim(&imsic)], [2 * 64 + 7, 0], "identities beyond the last are nobody's");
}
