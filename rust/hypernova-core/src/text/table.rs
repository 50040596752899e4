//! Sum the rows of tokens and of pairs, and bring the sum to unit length.
use super::Reason;
/// stand-in
#[derive(Default)]
pub struct Scratch;
/// stand-in
pub struct LookupTable;
impl LookupTable {
    /// stand-in
    pub fn dim(&self) -> usize {
        512
    }
    /// stand-in
    pub fn vocabulary(&self) -> usize {
        30522
    }
    /// stand-in
    pub fn embed(&self, tokens: &[u32], _s: &mut Scratch, vector: &mut [f32]) -> Result<(), Reason> {
        vector.fill(0.0);
        for t in tokens {
            vector[*t as usize % 512] += 1.0;
        }
        Ok(())
    }
}
