//! Profiles of clusters and groups: the arrays of an artifact, read in place.
//!
//! Not here: the estimates that they give for one query (`estimate.rs`).

use crate::artifact::Artifact;
use crate::options::Group;

/// Profile arrays of some rows, `rows` x `n_models` each.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Profile<'a> {
    /// Numbers of outcomes.
    pub counts: &'a [f64],
    /// Mean scores.
    pub mean: &'a [f32],
    /// Success estimates.
    pub success: &'a [f32],
    /// Standard errors of the success estimates.
    pub standard_error: &'a [f32],
    /// Standard errors of the paired gains over the default model.
    pub gain_error: &'a [f32],
    /// Mean costs of a task in USD; NaN where unknown.
    pub cost: &'a [f32],
    /// Mean latencies of a task in seconds; NaN where unknown.
    pub latency: &'a [f32],
    /// Mean input tokens of a task, NaN where unknown; `None` if the artifact has no tokens.
    pub input_tokens: Option<&'a [f32]>,
    /// Mean output tokens of a task, as `input_tokens`.
    pub output_tokens: Option<&'a [f32]>,
}

/// The groups of tasks that a caller may name, with their profiles, a row for each.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Groups<'a> {
    /// Number of tasks of each group.
    pub tasks: &'a [f64],
    /// Their profiles.
    pub profile: Profile<'a>,
    /// Offsets of the linear correction inside a group, `n_groups` x `n_models`, and its slopes,
    /// `n_models` x `dim`; `None` without one.
    pub correction: Option<(&'a [f32], &'a [f32])>,
}

impl Artifact {
    /// Profiles of the clusters, and of the whole table in the last row.
    #[must_use]
    pub fn profile(&self) -> Profile<'_> {
        let tokens = self.layout().tokens.as_ref();
        Profile {
            counts: self.counts(),
            mean: self.mean(),
            success: self.success(),
            standard_error: self.standard_error(),
            gain_error: self.gain_error(),
            cost: self.cost(),
            latency: self.latency(),
            input_tokens: tokens.map(|tokens| self.f32s(&tokens.input)),
            output_tokens: tokens.map(|tokens| self.f32s(&tokens.output)),
        }
    }

    /// Input tokens of an empty prompt and of each further character, `n_models` x 2, NaN where
    /// unknown; `None` if the artifact has no tokens.
    #[must_use]
    pub fn prompt_tokens(&self) -> Option<&[f32]> {
        let tokens = self.layout().tokens.as_ref();
        tokens.map(|tokens| self.f32s(&tokens.per_prompt))
    }

    /// The groups that a caller may name; `None` if the artifact has none.
    #[must_use]
    pub fn groups(&self) -> Option<Groups<'_>> {
        let groups = self.layout().groups.as_ref()?;
        let tokens = self.layout().tokens.as_ref();
        let tokens = tokens.and_then(|tokens| tokens.groups.as_ref());
        Some(Groups {
            tasks: self.f64s(&groups.tasks),
            profile: Profile {
                counts: self.f64s(&groups.counts),
                mean: self.f32s(&groups.mean),
                success: self.f32s(&groups.success),
                standard_error: self.f32s(&groups.standard_error),
                gain_error: self.f32s(&groups.gain_error),
                cost: self.f32s(&groups.cost),
                latency: self.f32s(&groups.latency),
                input_tokens: tokens.map(|[input, _]| self.f32s(input)),
                output_tokens: tokens.map(|[_, output]| self.f32s(output)),
            },
            correction: (groups.correction.as_ref())
                .map(|[offsets, slopes]| (self.f32s(offsets), self.f32s(slopes))),
        })
    }

    /// Number of groups that a caller may name.
    #[must_use]
    pub fn n_groups(&self) -> usize {
        (self.layout().groups.as_ref()).map_or(0, |groups| groups.names.len())
    }

    /// Name of the group at index `group`.
    ///
    /// # Panics
    ///
    /// If `group` is not below [`Self::n_groups`].
    #[must_use]
    pub fn group_name(&self, group: u32) -> &str {
        let names = (self.layout().groups.as_ref()).map_or(&[][..], |groups| &groups.names);
        // The names were validated, so that the default is never used.
        std::str::from_utf8(self.part(&names[group as usize])).unwrap_or_default()
    }

    /// The group called `name`, for [`crate::RouteOptions::group`].
    #[must_use]
    pub fn group(&self, name: &str) -> Group {
        self.group_index(name).map_or(Group::Unknown, Group::Known)
    }

    /// Whether the tokens that a model reads and writes are known.
    pub(crate) fn knows_tokens(&self, model: usize) -> bool {
        let profile = self.profile();
        let whole = self.n_clusters() * self.n_models() + model;
        let known = |tokens: Option<&[f32]>| tokens.is_some_and(|tokens| !tokens[whole].is_nan());
        known(profile.input_tokens) && known(profile.output_tokens)
    }

    /// Index of the group called `name`; `None` if the artifact does not hold it.
    #[must_use]
    pub fn group_index(&self, name: &str) -> Option<u32> {
        let at = (self.groups_by_name)
            .binary_search_by(|&group| self.group_name(group).as_bytes().cmp(name.as_bytes()));
        at.ok().map(|at| self.groups_by_name[at])
    }
}
