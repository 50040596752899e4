//! SIMD levels, as values that exist only where the CPU has the level.
//!
//! Not here: the implementations for them (`dispatch.rs`).

use std::env::VarError;
use std::fmt;

use crate::error::Error;

/// Environment variable that selects a lower SIMD level than the CPU's highest.
pub const LEVEL_VARIABLE: &str = "HYPERNOVA_SIMD";

/// Define a type whose values prove that the CPU has certain features.
macro_rules! proof {
    ($(#[$doc:meta])* $name:ident, $arch:literal, $detected:ident!($($feature:tt),+)) => {
        $(#[$doc])*
        ///
        /// A value permits calls of code that is compiled for these features: only detection
        /// creates values.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name(());

        impl $name {
            /// Detect the features; `None` if this CPU lacks one.
            fn detect() -> Option<Self> {
                #[cfg(target_arch = $arch)]
                if $(std::arch::$detected!($feature))&&+ {
                    return Some(Self(()));
                }
                None
            }
        }
    };
}

proof!(
    /// This CPU has AVX2.
    Avx2,
    "x86_64",
    is_x86_feature_detected!("avx2")
);
proof!(
    /// This CPU has AVX-512F and AVX2.
    Avx512,
    "x86_64",
    is_x86_feature_detected!("avx512f", "avx2")
);
proof!(
    /// This CPU has AVX-512F, AVX2, and VNNI for registers of 512 bits.
    Avx512Vnni,
    "x86_64",
    is_x86_feature_detected!("avx512f", "avx2", "avx512vnni")
);
proof!(
    /// This CPU has NEON.
    Neon,
    "aarch64",
    is_aarch64_feature_detected!("neon")
);

impl From<Avx512Vnni> for Avx512 {
    fn from(_: Avx512Vnni) -> Self {
        Self(())
    }
}

impl From<Avx512> for Avx2 {
    fn from(_: Avx512) -> Self {
        Self(())
    }
}

/// A SIMD level that this CPU has. All levels give the same answers.
///
/// Only detection creates levels:
///
/// ```
/// use hypernova_core::SimdLevel;
///
/// assert!(SimdLevel::from_name("scalar").is_ok());
/// assert!(SimdLevel::available().any(|level| level == SimdLevel::detect()));
/// ```
///
/// ```compile_fail,E0423
/// use hypernova_core::nearest::{Avx512, SimdLevel};
///
/// let level = SimdLevel::Avx512(Avx512(())); // on a CPU that may lack it
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimdLevel {
    /// The definition in plain code, on any CPU.
    Scalar,
    /// NEON, on aarch64.
    Neon(Neon),
    /// AVX2, on `x86_64`.
    Avx2(Avx2),
    /// AVX-512F, on `x86_64`.
    Avx512(Avx512),
    /// AVX-512F with VNNI, on `x86_64`.
    Avx512Vnni(Avx512Vnni),
}

impl fmt::Debug for SimdLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl SimdLevel {
    /// Names of all levels of all CPUs, from the lowest to the highest.
    pub const NAMES: [&str; 5] = ["scalar", "neon", "avx2", "avx512", "avx512vnni"];

    /// The level's name, as in `HYPERNOVA_SIMD`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[match self {
            Self::Scalar => 0,
            Self::Neon(_) => 1,
            Self::Avx2(_) => 2,
            Self::Avx512(_) => 3,
            Self::Avx512Vnni(_) => 4,
        }]
    }

    /// The levels that this CPU has, from the argmin to the highest.
    pub fn available() -> impl Iterator<Item = Self> {
        let levels = [
            Some(Self::Scalar),
            Neon::detect().map(Self::Neon),
            Avx2::detect().map(Self::Avx2),
            Avx512::detect().map(Self::Avx512),
            Avx512Vnni::detect().map(Self::Avx512Vnni),
        ];
        levels.into_iter().flatten()
    }

    /// The highest level that this CPU has.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().last().unwrap_or(Self::Scalar)
    }

    /// The level that `HYPERNOVA_SIMD` names, else the highest that this CPU has.
    ///
    /// # Errors
    ///
    /// [`Error::SimdLevel`] if the variable names a level that this CPU lacks.
    pub fn from_env() -> Result<Self, Error> {
        match std::env::var(LEVEL_VARIABLE) {
            Ok(name) if !name.is_empty() => Self::from_name(&name),
            Err(VarError::NotUnicode(name)) => Err(Self::refuse(&name.to_string_lossy())),
            _ => Ok(Self::detect()),
        }
    }

    /// The level called `name`.
    ///
    /// # Errors
    ///
    /// [`Error::SimdLevel`] if no level has this name, or this CPU lacks it.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        let found = Self::available().find(|level| level.name() == name);
        found.ok_or_else(|| Self::refuse(name))
    }

    fn refuse(name: &str) -> Error {
        let available: Vec<_> = Self::available().map(Self::name).collect();
        Error::SimdLevel {
            name: name.to_owned(),
            available: available.join(", "),
        }
    }
}
