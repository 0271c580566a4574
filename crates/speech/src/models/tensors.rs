//! How ggml stores the numbers of a tensor (ggml.h).

/// Bytes of a block, and elements in it; none if the kind is not known here.
pub(super) fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 => (4, 1),
        1 => (2, 1),
        2 => (18, 32),
        3 => (20, 32),
        6 => (22, 32),
        7 => (24, 32),
        8 => (34, 32),
        10 => (84, 256),
        11 => (110, 256),
        12 => (144, 256),
        13 => (176, 256),
        14 => (210, 256),
        _ => return None,
    })
}

/// Rows of a tensor whose first size is the length of one.
pub(super) fn rows(sizes: &[u32]) -> Option<u64> {
    sizes.iter().skip(1).try_fold(1_u64, |rows, size| rows.checked_mul(u64::from(*size)))
}
