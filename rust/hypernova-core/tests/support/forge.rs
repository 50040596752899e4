//! Forge files: valid but for one broken rule of `FORMAT.md`.
//!
//! Not here: the rules, and the errors of the reader (`refused.rs`).

/// One section of a file to forge, with false values for its table entry.
#[derive(Clone)]
pub struct Section {
    pub tag: [u8; 4],
    pub body: Vec<u8>,
    pub flags: u32,
    pub spare: u32,
    pub offset: Option<u64>,
    pub length: Option<u64>,
    pub checksum: Option<u32>,
    /// Padding before the section, if not zeros.
    pub padding: Vec<u8>,
}

impl Section {
    pub fn new(tag: [u8; 4], flags: u32, body: &[u8]) -> Self {
        Self {
            tag,
            body: body.to_vec(),
            flags,
            spare: 0,
            offset: None,
            length: None,
            checksum: None,
            padding: Vec::new(),
        }
    }
}

/// A file to forge. Fields that are not set are computed correctly, lengths and checksums
/// included, so that a forgery breaks only the intended rule.
#[derive(Clone)]
pub struct Draft {
    pub sections: Vec<Section>,
    pub magic: [u8; 8],
    pub major: u16,
    pub minor: u16,
    pub count: Option<u32>,
    pub file_length: Option<u64>,
    pub shape: [u32; 3],
    pub reserved: [u8; 24],
    pub head_checksum: Option<u32>,
    pub tail: Vec<u8>,
    pub cut: Option<usize>,
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Draft {
    /// Take a valid file apart.
    pub fn of(file: &[u8]) -> Self {
        let entry = |i: usize| {
            let at = 64 + 32 * i;
            let tag = file[at..at + 4].try_into().expect("four bytes");
            let start = u64_at(file, at + 8) as usize;
            let end = start + u64_at(file, at + 16) as usize;
            Section::new(tag, u32_at(file, at + 4), &file[start..end])
        };
        Self {
            sections: (0..u32_at(file, 12) as usize).map(entry).collect(),
            magic: *b"\x89HNV\r\n\x1a\n",
            major: 1,
            minor: 0,
            count: None,
            file_length: None,
            shape: [24, 28, 32].map(|at| u32_at(file, at)),
            reserved: [0; 24],
            head_checksum: None,
            tail: Vec::new(),
            cut: None,
        }
    }

    pub fn section(&mut self, tag: &str) -> &mut Section {
        let mut sections = self.sections.iter_mut();
        sections
            .find(|s| s.tag == tag.as_bytes())
            .expect("the draft has this section")
    }

    pub fn remove(&mut self, tag: &str) {
        self.sections.retain(|s| s.tag != tag.as_bytes());
    }

    /// Overwrite one f32 of a section.
    pub fn f32(&mut self, tag: &str, index: usize, value: f32) {
        self.section(tag).body[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Overwrite one f64 of a section.
    pub fn f64(&mut self, tag: &str, index: usize, value: f64) {
        self.section(tag).body[8 * index..8 * index + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// Replace the names of the models, with other starts if given.
    pub fn names(&mut self, names: &[&[u8]], starts: Option<&[u32]>) {
        self.names_in("MODL", names, starts);
    }

    /// Replace the names in a section, with other starts if given.
    pub fn names_in(&mut self, tag: &str, names: &[&[u8]], starts: Option<&[u32]>) {
        let mut ends = vec![0];
        for name in names {
            ends.push(ends[ends.len() - 1] + name.len() as u32);
        }
        let starts = starts.unwrap_or(&ends);
        let mut body: Vec<u8> = starts.iter().flat_map(|s| s.to_le_bytes()).collect();
        body.extend(names.concat());
        self.section(tag).body = body;
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let start = 64 + 32 * self.sections.len();
        let (mut table, mut body) = (Vec::new(), Vec::new());
        for section in &self.sections {
            let end = start + body.len();
            let offset = end.next_multiple_of(64);
            let mut padding = section.padding.clone();
            padding.resize(offset - end, 0);
            body.extend(padding);
            table.extend(section.tag);
            table.extend(section.flags.to_le_bytes());
            table.extend(section.offset.unwrap_or(offset as u64).to_le_bytes());
            let length = section.length.unwrap_or(section.body.len() as u64);
            table.extend(length.to_le_bytes());
            let checksum = section.checksum;
            let checksum = checksum.unwrap_or_else(|| crc32fast::hash(&section.body));
            table.extend(checksum.to_le_bytes());
            table.extend(section.spare.to_le_bytes());
            body.extend(&section.body);
        }
        body.extend(&self.tail);

        let mut file = self.magic.to_vec();
        file.extend(self.major.to_le_bytes());
        file.extend(self.minor.to_le_bytes());
        let count = self.count.unwrap_or(self.sections.len() as u32);
        file.extend(count.to_le_bytes());
        let length = self.file_length.unwrap_or((start + body.len()) as u64);
        file.extend(length.to_le_bytes());
        file.extend(self.shape.iter().flat_map(|n| n.to_le_bytes()));
        file.extend(self.reserved);
        let checksum = crc32fast::hash(&[file.as_slice(), &table].concat());
        file.extend(self.head_checksum.unwrap_or(checksum).to_le_bytes());
        file.extend(table);
        file.extend(body);
        file.truncate(self.cut.unwrap_or(file.len()));
        file
    }
}

/// Correct all checksums of a damaged file that its header and table still locate, so that the
/// checks after the checksums are reached.
pub fn fix_checksums(file: &mut [u8]) {
    if file.len() < 64 {
        return;
    }
    let end = file.len();
    let count = u32_at(file, 12).min(64) as usize;
    let table_end = end.min(64 + 32 * count);
    for at in (64..table_end.saturating_sub(31)).step_by(32) {
        let from = u64_at(file, at + 8).min(end as u64);
        let to = from.saturating_add(u64_at(file, at + 16)).min(end as u64);
        let checksum = crc32fast::hash(&file[from as usize..to as usize]);
        file[at + 24..at + 28].copy_from_slice(&checksum.to_le_bytes());
    }
    let head = [&file[..60], &file[64..table_end]].concat();
    file[60..64].copy_from_slice(&crc32fast::hash(&head).to_le_bytes());
}
