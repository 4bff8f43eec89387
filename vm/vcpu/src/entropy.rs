//! Random numbers for guests: ChaCha20 (RFC 8439, section 2.3) with its key replaced at every use, so
//! that what was given out cannot be found again.
//!
//! What a guest gets is only as good as what was stirred in: the seed that the boot loader left in the
//! host's tree, and the times at which things happened.

use host_sync::Spin;

type Block = [u32; 16];

/// The constants of RFC 8439: "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

struct Pool {
    key: [u32; 8],
    /// Counts uses: two uses with equal keys would still differ.
    uses: u64,
}

static POOL: Spin<Pool> = Spin::new(Pool { key: [0; 8], uses: 0 });

/// Stirs `seed` in. Nothing that was there before is lost.
pub fn stir(seed: &[u8]) {
    for part in seed.chunks(32) {
        let mut pool = POOL.lock();
        for (word, bytes) in pool.key.iter_mut().zip(part.chunks(4)) {
            let mut four = [0; 4];
            for (to, from) in four.iter_mut().zip(bytes) {
                *to = *from;
            }
            *word ^= u32::from_le_bytes(four);
        }
        // Mixed through the whole key before the next part comes.
        pool.turn(part.len() as u64);
    }
}

/// Fills `out` with random bytes; `now` is stirred in.
pub fn fill(out: &mut [u8], now: u64) {
    for part in out.chunks_mut(32) {
        let fresh = POOL.lock().turn(now);
        for (to, word) in part.chunks_mut(4).zip(fresh) {
            for (to, from) in to.iter_mut().zip(word.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

/// A random number; `now` is stirred in.
pub fn word(now: u64) -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes, now);
    u64::from_le_bytes(bytes)
}

impl Pool {
    /// One block: half of it is the next key, the other half is given out.
    fn turn(&mut self, nonce: u64) -> [u32; 8] {
        self.uses = self.uses.wrapping_add(1);
        let [uses_low, uses_high] = halves(self.uses);
        let [nonce_low, nonce_high] = halves(nonce);
        let block = chacha20(&self.key, [uses_low, uses_high, nonce_low, nonce_high]);
        let (key, fresh) = block.split_at(8);
        let take = |from: &[u32]| {
            let mut words = [0; 8];
            for (to, from) in words.iter_mut().zip(from) {
                *to = *from;
            }
            words
        };
        self.key = take(key);
        take(fresh)
    }
}

fn halves(value: u64) -> [u32; 2] {
    [(value & 0xffff_ffff) as u32, (value >> 32) as u32]
}

/// The block function (2.3): `tail` is counter and nonce.
fn chacha20(key: &[u32; 8], tail: [u32; 4]) -> Block {
    let [c0, c1, c2, c3] = CONSTANTS;
    let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
    let [t0, t1, t2, t3] = tail;
    let start: Block = [c0, c1, c2, c3, k0, k1, k2, k3, k4, k5, k6, k7, t0, t1, t2, t3];
    let [mut a, mut b, mut c, mut d] =
        [[c0, c1, c2, c3], [k0, k1, k2, k3], [k4, k5, k6, k7], [t0, t1, t2, t3]];
    for _ in 0..10 {
        // The columns, then the diagonals: rows turned against each other.
        quarters(&mut a, &mut b, &mut c, &mut d);
        b.rotate_left(1);
        c.rotate_left(2);
        d.rotate_left(3);
        quarters(&mut a, &mut b, &mut c, &mut d);
        b.rotate_right(1);
        c.rotate_right(2);
        d.rotate_right(3);
    }
    let mut out = start;
    for (to, from) in out.iter_mut().zip(a.iter().chain(&b).chain(&c).chain(&d)) {
        *to = to.wrapping_add(*from);
    }
    out
}

/// Four quarter rounds (2.1) side by side.
fn quarters(a: &mut [u32; 4], b: &mut [u32; 4], c: &mut [u32; 4], d: &mut [u32; 4]) {
    for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
        *a = a.wrapping_add(*b);
        *d = (*d ^ *a).rotate_left(16);
        *c = c.wrapping_add(*d);
        *b = (*b ^ *c).rotate_left(12);
        *a = a.wrapping_add(*b);
        *d = (*d ^ *a).rotate_left(8);
        *c = c.wrapping_add(*d);
        *b = (*b ^ *c).rotate_left(7);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_function_gives_the_vector_of_rfc_8439() {
        // Section 2.3.2: key 00 01 … 1f, counter 1, nonce 00 00 00 09 00 00 00 4a 00 00 00 00.
        let key = core::array::from_fn(|i| u32::from_le_bytes(core::array::from_fn(|j| (4 * i + j) as u8)));
        let block = chacha20(&key, [1, 0x0900_0000, 0x4a00_0000, 0]);
        assert_eq!(block[..4], [0xe4e7_f110, 0x1559_3bd1, 0x1fdd_0f50, 0xc471_20a3]);
        assert_eq!(block[15], 0x4e3c_50a2);
    }

    #[test]
    fn no_two_answers_are_alike_even_without_a_seed() {
        let (a, b) = (word(0), word(0));
        assert_ne!(a, b);
        stir(b"seed");
        assert_ne!(word(0), word(0));
        let mut bytes = [0; 70];
        fill(&mut bytes, 1);
        assert!(bytes.chunks(10).all(|part| part.iter().any(|byte| *byte != 0)));
    }
}
