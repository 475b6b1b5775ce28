//! The fingerprint of RSA keys made by a broken generator (CVE-2017-15361, "ROCA").
//! Not here: any other test of a modulus.

/// The small primes of the published test (Nemec et al., "The Return of Coppersmith's Attack", 2017).
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus is a power of 65537 modulo each of the primes, as all weak moduli and next to no others are.
pub(crate) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.into_iter().all(|prime| is_power_of_65537(remainder(modulus, prime), prime))
}

/// `modulus % prime`; `prime` is never zero and below 256, so that nothing overflows.
fn remainder(modulus: &[u8], prime: u32) -> u32 {
    modulus
        .iter()
        .fold(0_u32, |rest, byte| (rest.wrapping_shl(8) | u32::from(*byte)).checked_rem(prime).unwrap_or(0))
}

fn is_power_of_65537(number: u32, prime: u32) -> bool {
    let mut power = 1_u32;
    for _ in 0..prime {
        if power == number {
            return true;
        }
        power = power.saturating_mul(65_537).checked_rem(prime).unwrap_or(0);
    }
    false
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 65537^128: no key, but a number with the structure that the test looks for.
    pub(crate) fn power_of_65537() -> Vec<u8> {
        let mut number = vec![1_u8];
        for _ in 0..128 {
            // n * 65537 = n << 16 + n
            let mut sum = number.clone();
            sum.extend([0, 0]);
            let mut carry = 0_u16;
            for (to, from) in sum.iter_mut().rev().zip(number.iter().rev().chain(std::iter::repeat(&0))) {
                let digit = u16::from(*to) + u16::from(*from) + carry;
                *to = digit.to_be_bytes()[1];
                carry = digit >> 8;
            }
            assert_eq!(carry, 0);
            number = sum;
        }
        number
    }

    #[test]
    fn the_structure_is_found() {
        let number = power_of_65537();
        assert_eq!(number.len(), 257);
        assert!(has_fingerprint(&number));
    }

    #[test]
    fn its_neighbours_are_not_taken_for_it() {
        let mut number = power_of_65537();
        *number.last_mut().unwrap() += 2;
        assert!(!has_fingerprint(&number));
    }

    #[test]
    fn a_sound_key_is_not_taken_for_it() {
        let n = crate::vectors::rfc7515::A2_MODULUS;
        assert!(!has_fingerprint(&crate::base64url::decode(n).unwrap()));
    }
}
