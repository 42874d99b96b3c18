/// Hashes of three bytes.
const SLOTS: usize = 1 << 16;

/// A filter for the places where a name may start: at the start of a word, with the first three
/// bytes of a name. It may let too much through, never too little.
pub(super) struct Starts {
    bits: Vec<u64>,
}

/// ASCII letters and digits, which bind a following ASCII character into their word.
static BINDS: [u64; 256] = {
    let mut binds = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        binds[byte as usize] = byte.is_ascii_alphanumeric() as u64;
        byte += 1;
    }
    binds
};

impl Starts {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut starts = Self { bits: vec![0; SLOTS / 64] };
        for name in names {
            match *name.as_bytes() {
                [] => {}
                [_] => starts.bits.fill(u64::MAX),
                [a, b] => (0..=u8::MAX).for_each(|c| starts.insert([a, b, c])),
                [a, b, c, ..] => starts.insert([a, b, c]),
            }
        }
        starts
    }

    fn insert(&mut self, bytes: [u8; 3]) {
        let slot = slot(bytes);
        self.bits[slot / 64] |= 1 << (slot % 64);
    }

    /// The next place at or after `from` where a name may start. Without branches on the text:
    /// its words are too short for the processor to guess where they end.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut binds = from.checked_sub(1).map_or(0, |at| BINDS[text[at] as usize]);
        for (index, window) in text[from..].windows(3).enumerate() {
            let slot = slot([window[0], window[1], window[2]]);
            let known = self.bits[slot / 64] >> (slot % 64);
            let free = !binds | u64::from(window[0] >> 7);
            if known & free & 1 == 1 {
                return Some(from + index);
            }
            binds = BINDS[window[0] as usize];
        }
        // Too few bytes are left to filter.
        let rest = from.max(text.len().saturating_sub(2));
        (rest < text.len()).then_some(rest)
    }
}

fn slot([a, b, c]: [u8; 3]) -> usize {
    let key = u32::from_le_bytes([a, b, c, 0]);
    (key.wrapping_mul(0x9E37_79B1) >> 16) as usize
}
