use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::super::Mechanism;

/// Which hash function SCRAM is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScramHash {
    /// RFC 5802.
    Sha1,
    /// RFC 7677.
    Sha256,
}

impl ScramHash {
    /// The mechanism that is built on it.
    #[must_use]
    pub fn mechanism(self) -> Mechanism {
        match self {
            Self::Sha1 => Mechanism::ScramSha1,
            Self::Sha256 => Mechanism::ScramSha256,
        }
    }

    /// Octets of a digest.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// `H(str)`
    pub(super) fn digest(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(octets).to_vec(),
            Self::Sha256 => Sha256::digest(octets).to_vec(),
        }
    }

    /// `HMAC(key, str)`
    pub(super) fn hmac(self, key: &[u8], octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => chain(keyed::<Hmac<Sha1>>(key), octets),
            Self::Sha256 => chain(keyed::<Hmac<Sha256>>(key), octets),
        }
    }

    /// `Hi(str, salt, i)`: PBKDF2 of one block (RFC 5802 §2.2).
    pub(super) fn hi(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha1 => hi(keyed::<Hmac<Sha1>>(password), salt, iterations),
            Self::Sha256 => hi(keyed::<Hmac<Sha256>>(password), salt, iterations),
        }
    }
}

fn keyed<M: Mac + hmac::digest::KeyInit>(key: &[u8]) -> M {
    match <M as Mac>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes a key of any length (RFC 2104 §2)"),
    }
}

fn chain<M: Mac>(mac: M, octets: &[u8]) -> Vec<u8> {
    mac.chain_update(octets).finalize().into_bytes().to_vec()
}

fn hi<M: Mac + Clone>(mac: M, salt: &[u8], iterations: u32) -> Vec<u8> {
    let first = mac
        .clone()
        .chain_update(salt)
        .chain_update(1_u32.to_be_bytes());
    let mut last = first.finalize().into_bytes();
    let mut sum = last.to_vec();
    for _ in 1..iterations {
        last = mac.clone().chain_update(&last).finalize().into_bytes();
        xor(&mut sum, &last);
    }
    last.as_mut_slice().zeroize();
    sum
}

pub(super) fn xor(into: &mut [u8], other: &[u8]) {
    for (octet, other) in into.iter_mut().zip(other) {
        *octet ^= other;
    }
}
