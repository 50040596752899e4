//! The closed classes of words that the rules of courtesies name.
//!
//! Not here: the rules (see `courtesy`).
//!
//! Words are looked up without allocation, in a table that the compiler builds of the lists.

/// Articles, pronouns, prepositions, conjunctions, auxiliaries, adverbs and the like.
const CLOSED: &str = "\
a an the this that these those such same other another some any each every all both either neither
no not none nothing something anything everything someone anyone everyone somebody anybody i me my
mine myself we us our ours you your yours yourself he him his she her hers it its they them their
theirs one ones who whom whose which what when where why how here there now then be am is are was
were been being do does did done doing have has had having can could may might must shall should
will would ought s m t re ve ll let lets isn don doesn didn won wouldn couldn of in on at by for
from to into onto with without within about as than like via per over under up down out off
between among through during before after since until till against around and or but nor so if
because although though while whether yet also too very quite rather just only even still again
already ever never always often sometimes soon later once more most less least much many few
little lot lots bit enough yes okay ok well really actually maybe perhaps
greatly deeply highly hugely extremely
first last next new old
good great nice sure own back make made";
/// Words of courtesy.
const COURTESY: &str = "\
hi hello hey hiya greetings dear morning afternoon evening night day welcome thanks thank thankyou
thx ty tia cheers please pls plz kindly sorry apologies pardon excuse bother appreciate
appreciated appreciation grateful gratefully obliged lifesaver wonderful amazing awesome regards
sincerely truly faithfully respectfully best wishes warm kind wish hope hoping wonder wondering
glad happy looking forward advance advise luck everybody folks team guys sir madam friend friends
help helping helped helpful assist assistance support hear hearing know knowing weekend today
tomorrow yesterday week care consideration time busy possible asap urgent urgently important need
needs needed want wants love trying try stuck quick quickly posting post community forum sense";
/// Words about messages themselves.
const MESSAGE: &str = "\
question questions q answer answers ask asked asking reply replies respond response responses
prompt prompts input output instruction instructions inst request requests task tasks user users
assistant human ai bot chatgpt gpt claude gemini llm model system chat conversation message
messages text description title subject fw fwd below above following problem issue details
detailed detail brief briefly concise concisely short long longer clear clearly careful carefully
step steps think thinking thought reason reasoning explain explanation explanations work show
final read deep breath plain simple simply english language information info note notes edit
edited update updated ps p.s sent posted created wrote write forwarded original status open closed
priority medium high low end begin start page fixed typo give take provide tell copied pasted copy
paste attached attachment mail email iphone android ipad mobile phone outlook get ago days hours
hour minutes minute pm br div mon tue wed thu fri sat sun monday tuesday wednesday thursday friday
saturday sunday jan feb mar apr jun jul aug sep sept oct nov dec january february march april june
july august september october november december";
const GREETINGS: &str = "hi hello hey dear greetings";
const THANKS: &str = "thanks thank thx cheers regards sorry apologies";
const ROLES: &str = "\
assistant expert specialist professional teacher tutor helper model bot chatbot ai agent advisor
consultant engineer scientist developer programmer writer professor analyst system";
const SIGN_OFF: &str = "regards sincerely yours truly faithfully cheers thanks wishes";
const LABELS: &str = "question problem task prompt exercise item";
const HEADERS: &str = "from to cc bcc date sent received subject";
/// The first words of a sentence that may assign a role.
const ASSIGNING: &str = "you act imagine pretend system";

/// The lists that a word is in, a bit for each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    /// No list.
    pub(super) const NONE: Self = Self(0);
    /// A stop word, which says nothing of a task: of a closed class, of courtesy, or about messages.
    pub(super) const STOP: Self = Self(1);
    /// A word that greets.
    pub(super) const GREETING: Self = Self(2);
    /// A word that begins thanks, regards or an apology.
    pub(super) const THANKS: Self = Self(4);
    /// A role that a text may assign.
    pub(super) const ROLE: Self = Self(8);
    /// A word of a line that signs off.
    pub(super) const SIGN_OFF: Self = Self(16);
    /// A label that a number follows.
    pub(super) const LABEL: Self = Self(32);
    /// The name of a header of a message.
    pub(super) const HEADER: Self = Self(64);
    /// A word that may begin the assignment of a role.
    pub(super) const ASSIGNING: Self = Self(128);

    /// Return whether these lists and others have one in common.
    pub(super) const fn any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

/// The bytes of a word of at most 16 in lower case, from the lowest on; zero behind its end.
type Key = u128;

/// The longest word that may be in a list.
pub(super) const MAX_BYTES: usize = size_of::<Key>();
const SLOT_BITS: u32 = 11;
const MAX_WORDS: usize = 1024;

/// All words of the lists, found by a hash with linear probing: a third of the slots is taken.
struct Table {
    /// One more than the index of a word; 0 where a slot is free.
    slots: [u16; 1 << SLOT_BITS],
    keys: [Key; MAX_WORDS],
    kinds: [Kinds; MAX_WORDS],
    n_words: usize,
}

static TABLE: Table = Table::build();

impl Table {
    const fn build() -> Self {
        Self {
            slots: [0; 1 << SLOT_BITS],
            keys: [0; MAX_WORDS],
            kinds: [Kinds::NONE; MAX_WORDS],
            n_words: 0,
        }
        .with(CLOSED, Kinds::STOP)
        .with(COURTESY, Kinds::STOP)
        .with(MESSAGE, Kinds::STOP)
        .with(GREETINGS, Kinds::GREETING)
        .with(THANKS, Kinds::THANKS)
        .with(ROLES, Kinds::ROLE)
        .with(SIGN_OFF, Kinds::SIGN_OFF)
        .with(LABELS, Kinds::LABEL)
        .with(HEADERS, Kinds::HEADER)
        .with(ASSIGNING, Kinds::ASSIGNING)
    }

    /// Add a list of words.
    const fn with(mut self, list: &str, kind: Kinds) -> Self {
        let bytes = list.as_bytes();
        let (mut at, mut begin) = (0, 0);
        while at <= bytes.len() {
            if at == bytes.len() || bytes[at].is_ascii_whitespace() {
                if at > begin {
                    self.add(packed(bytes, begin, at), kind);
                }
                begin = at + 1;
            }
            at += 1;
        }
        self
    }

    const fn add(&mut self, key: Key, kind: Kinds) {
        let slot = self.slot(key);
        if self.slots[slot] == 0 {
            self.keys[self.n_words] = key;
            self.n_words += 1;
            self.slots[slot] = self.n_words as u16;
        }
        let word = self.slots[slot] as usize - 1;
        self.kinds[word].0 |= kind.0;
    }

    /// Return the slot of a word, or the free one that it would take.
    const fn slot(&self, key: Key) -> usize {
        let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(29);
        let hash = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = (hash >> (u64::BITS - SLOT_BITS)) as usize;
        while self.slots[slot] != 0 && self.keys[self.slots[slot] as usize - 1] != key {
            slot = (slot + 1) % self.slots.len();
        }
        slot
    }

    fn kinds(&self, key: Key) -> Kinds {
        match self.slots[self.slot(key)] {
            0 => Kinds::NONE,
            word => self.kinds[usize::from(word) - 1],
        }
    }
}

/// Return the key of a word of at most [`MAX_BYTES`] in lower case.
const fn packed(bytes: &[u8], begin: usize, end: usize) -> Key {
    assert!(end - begin <= MAX_BYTES);
    let (mut key, mut at) = (0, end);
    while at > begin {
        at -= 1;
        key = (key << 8) | bytes[at].to_ascii_lowercase() as Key;
    }
    key
}

/// The ASCII letters at the beginning of some bytes: the lists that they are in as a word, and their
/// number, which is [`MAX_BYTES`] where there may be more.
#[derive(Clone, Copy)]
pub(super) struct Letters {
    key: Key,
    pub(super) n: usize,
}

impl Letters {
    /// Look at no more than the first `end` bytes.
    pub(super) fn at_start_of(bytes: &[u8], end: usize) -> Self {
        const fn each(byte: u8) -> Key {
            Key::from_le_bytes([byte; MAX_BYTES])
        }
        let chunk = bytes.first_chunk().copied().unwrap_or_else(|| {
            let mut chunk = [0; MAX_BYTES];
            chunk[..bytes.len()].copy_from_slice(bytes);
            chunk
        });
        // All bytes at once. Upper case lacks one bit; sums do not reach the next byte.
        let bytes = Key::from_le_bytes(chunk);
        let lower = (bytes | each(0x20)) & each(0x7f);
        let from_a = lower + each(0x80 - b'a');
        let behind_z = lower + each(0x7f - b'z');
        let others = !(from_a & !behind_z & !bytes) & each(0x80);
        let n = (others.trailing_zeros() / u8::BITS) as usize;
        let n = n.min(end);
        let key = if n < MAX_BYTES {
            lower & !(Key::MAX << (8 * n))
        } else {
            lower
        };
        Self { key, n }
    }

    pub(super) fn kinds(self) -> Kinds {
        TABLE.kinds(self.key)
    }
}

/// Return whether a word in any case is a stop word.
///
/// Lower case is Unicode's, which makes one other character an ASCII one: the sign of the kelvin.
pub(super) fn is_stop_word(word: &str) -> bool {
    if word.contains('\u{212a}') {
        return is_stop_word(&word.replace('\u{212a}', "k"));
    }
    word.len() <= MAX_BYTES
        && TABLE
            .kinds(packed(word.as_bytes(), 0, word.len()))
            .any(Kinds::STOP)
}
