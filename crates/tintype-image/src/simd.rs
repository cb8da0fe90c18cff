//! Lets loops run with the widest vectors this processor has. What they compute does not depend on it: lanes
//! are added in the same order, and nothing is fused.
#![allow(unsafe_code)]

/// Work whose loops gain by wide vectors. `run` and what it calls must be inlined to gain anything.
pub(crate) trait Work {
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs it.
pub(crate) fn vectorized<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
    {
        // SAFETY: the processor was asked for what the function is built with.
        return unsafe { with_avx2(work) };
    }
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn with_avx2<W: Work>(work: W) -> W::Output {
    work.run()
}
