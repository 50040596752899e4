//! Parse and validate the sections of groups and tokens, which a file may lack.
//!
//! Not here: the sections that every file has (`parse.rs`).

use std::ops::Range;

use super::check;
use super::head::{Section, needed_of_length, needed_section, stands};
use super::tag::{self, Tag};
use crate::error::Error;

/// Ranges of the sections of groups.
#[derive(Clone, Debug)]
pub(crate) struct GroupLayout {
    /// Range of each group's name.
    pub(crate) names: Vec<Range<usize>>,
    pub(crate) tasks: Range<usize>,
    pub(crate) counts: Range<usize>,
    pub(crate) mean: Range<usize>,
    pub(crate) success: Range<usize>,
    pub(crate) standard_error: Range<usize>,
    pub(crate) gain_error: Range<usize>,
    pub(crate) cost: Range<usize>,
    pub(crate) latency: Range<usize>,
    /// Offsets and then slopes of the linear correction.
    pub(crate) correction: Option<[Range<usize>; 2]>,
}

/// Ranges of the sections of tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokenLayout {
    pub(crate) per_prompt: Range<usize>,
    pub(crate) input: Range<usize>,
    pub(crate) output: Range<usize>,
    /// Input and output tokens of the groups, where the file has groups.
    pub(crate) groups: Option<[Range<usize>; 2]>,
}

/// Parse the sections of groups and of tokens; `None` where the file has none.
///
/// `shape` has the number of rows of the profiles (`k + 1`), the dimension and the number of models.
pub(super) fn groups_and_tokens(
    bytes: &[u8],
    sections: &[Section],
    shape: [usize; 3],
) -> Result<(Option<GroupLayout>, Option<TokenLayout>), Error> {
    let [rows, dim, models] = shape;
    let file = File {
        bytes,
        sections,
        rows,
        dim,
        models,
    };
    let groups = file.groups()?;
    let tokens = file.tokens(groups.as_ref().map(|groups| groups.names.len()))?;
    Ok((groups, tokens))
}

/// The bytes of a file, its sections, and its shape.
#[derive(Clone, Copy)]
struct File<'a> {
    bytes: &'a [u8],
    sections: &'a [Section],
    /// Rows of the profiles, `k + 1`.
    rows: usize,
    dim: usize,
    models: usize,
}

impl<'a> File<'a> {
    fn section(&self, range: &Range<usize>) -> &'a [u8] {
        &self.bytes[range.clone()]
    }

    fn any_stands(&self, tags: &[Tag]) -> bool {
        tags.iter().any(|&tag| stands(self.sections, tag))
    }

    /// A section of `rows` x `models` f32 values that obey a rule.
    fn profile(
        &self,
        tag: Tag,
        rows: usize,
        obey: impl Fn(Tag, &[u8]) -> Result<(), Error>,
    ) -> Result<Range<usize>, Error> {
        let shape = [rows, self.models];
        let range = needed_of_length(self.sections, tag, shape, size_of::<f32>())?;
        obey(tag, self.section(&range))?;
        Ok(range)
    }

    fn groups(&self) -> Result<Option<GroupLayout>, Error> {
        if !self.any_stands(&tag::OF_GROUPS) {
            return Ok(None);
        }
        let sections = self.sections;
        let tasks = needed_section(sections, tag::GROUP_TASKS)?.range.clone();
        let groups = tasks.len() / size_of::<f64>();
        if groups == 0 || tasks.len() % size_of::<f64>() != 0 {
            return Err(Error::SectionLength {
                tag: tag::GROUP_TASKS,
                expected: "8 or more, a multiple of 8".into(),
                found: tasks.len() as u64,
            });
        }
        check::counts(tag::GROUP_TASKS, self.section(&tasks))?;
        let names = needed_section(sections, tag::GROUP_NAMES)?.range.clone();
        let names = check::names(tag::GROUP_NAMES, self.bytes, names, groups)?;
        let shape = [groups, self.models];
        let counts = needed_of_length(sections, tag::GROUP_COUNTS, shape, size_of::<f64>())?;
        check::counts(tag::GROUP_COUNTS, self.section(&counts))?;
        let mean = self.profile(tag::GROUP_MEAN, groups, check::fractions)?;
        let (counted, means) = (self.section(&counts), self.section(&mean));
        check::means_without_outcomes(tag::GROUP_MEAN, counted, means)?;
        Ok(Some(GroupLayout {
            names,
            tasks,
            counts,
            mean,
            success: self.profile(tag::GROUP_SUCCESS, groups, check::fractions)?,
            standard_error: self.profile(tag::GROUP_STANDARD_ERROR, groups, check::not_negative)?,
            gain_error: self.profile(tag::GROUP_GAIN_ERROR, groups, check::not_negative)?,
            cost: self.profile(tag::GROUP_COST, groups, check::known_or_nan)?,
            latency: self.profile(tag::GROUP_LATENCY, groups, check::known_or_nan)?,
            correction: self.group_correction(groups)?,
        }))
    }

    fn group_correction(&self, groups: usize) -> Result<Option<[Range<usize>; 2]>, Error> {
        if !stands(self.sections, tag::GROUP_CORRECTION) {
            return Ok(None);
        }
        // On a 32-bit machine the sum may not fit; the length then differs.
        let rows = groups.saturating_add(self.dim);
        let range = self.profile(tag::GROUP_CORRECTION, rows, check::finite)?;
        let slopes = range.start + groups * self.models * size_of::<f32>();
        Ok(Some([range.start..slopes, slopes..range.end]))
    }

    fn tokens(&self, groups: Option<usize>) -> Result<Option<TokenLayout>, Error> {
        if !self.any_stands(&tag::OF_TOKENS) {
            return Ok(None);
        }
        let known = check::known_or_nan;
        let groups = match groups {
            Some(groups) => Some([
                self.profile(tag::GROUP_INPUT_TOKENS, groups, known)?,
                self.profile(tag::GROUP_OUTPUT_TOKENS, groups, known)?,
            ]),
            None => None,
        };
        Ok(Some(TokenLayout {
            per_prompt: self.profile(tag::PROMPT_TOKENS, 2, known)?,
            input: self.profile(tag::INPUT_TOKENS, self.rows, known)?,
            output: self.profile(tag::OUTPUT_TOKENS, self.rows, known)?,
            groups,
        }))
    }
}
