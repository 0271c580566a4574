//! The one place where C is spoken to: flite's functions, a thread's niceness, whisper's abort callback.
//!
//! Everything that leaves this module is safe to call from any thread.

#![expect(unsafe_code, reason = "the C libraries' boundary; each block says why it holds")]

use std::{
    ffi::{CStr, CString, c_char, c_float, c_int, c_uint, c_void},
    ptr::NonNull,
    sync::{Mutex, OnceLock, PoisonError},
};

use whisper_rs::FullParams;

use crate::speak::Voice;

/// What flite made of a text: mono samples at `rate`.
pub(crate) struct Waveform {
    /// 16 bit samples.
    pub(crate) samples: Vec<i16>,
    /// Samples a second, 8,000 or 16,000 with the voices we link.
    pub(crate) rate: u32,
}

/// A voice with one pace, made once and never changed afterwards.
#[derive(Clone, Copy)]
pub(crate) struct FliteVoice(NonNull<CVoice>);

// SAFETY: flite only reads a voice while it synthesises; ours are never changed or freed after they were made.
unsafe impl Send for FliteVoice {}
// SAFETY: as above: shared reading only.
unsafe impl Sync for FliteVoice {}

impl FliteVoice {
    /// Makes a voice whose speech is `stretch` times as long as the speaker's own. Call once a style: it is kept
    /// until the program ends.
    pub(crate) fn register(voice: Voice, stretch: f32) -> Option<FliteVoice> {
        static REGISTERING: Mutex<()> = Mutex::new(());
        static LIBRARY: OnceLock<()> = OnceLock::new();
        let _alone = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: `flite_init` and the registrations are not thread-safe; the mutex lets one thread in. A voice is
        // reached from here alone until it is returned, and `new_voice` and `feat_copy_into` allocate and copy.
        // `duration_stretch` is a static string with its zero.
        unsafe {
            LIBRARY.get_or_init(|| {
                flite_init();
            });
            let original = NonNull::new(match voice {
                Voice::Rms => register_cmu_us_rms(std::ptr::null()),
                Voice::Slt => register_cmu_us_slt(std::ptr::null()),
                Voice::Awb => register_cmu_us_awb(std::ptr::null()),
                Voice::Kal => register_cmu_us_kal(std::ptr::null()),
            })?;
            let own = NonNull::new(new_voice())?;
            let source = original.as_ref();
            feat_copy_into(source.features, (*own.as_ptr()).features);
            (*own.as_ptr()).name = source.name;
            (*own.as_ptr()).ffunctions = source.ffunctions;
            (*own.as_ptr()).utt_init = source.utt_init;
            let normal = flite_get_param_float(source.features, STRETCH.as_ptr(), 1.0);
            flite_feat_set_float((*own.as_ptr()).features, STRETCH.as_ptr(), normal * stretch);
            Some(FliteVoice(own))
        }
    }

    /// Synthesises a text. `None` when flite made nothing of it.
    pub(crate) fn synthesise(self, text: &CString) -> Option<Waveform> {
        // SAFETY: the text ends with a zero and lives through the call; the voice is valid for ever and only read;
        // each synthesis has its own utterance. The wave is ours until `delete_wave`, its `samples` point to
        // `num_samples` × `num_channels` values.
        unsafe {
            let wave = NonNull::new(flite_text_to_wave(text.as_ptr(), self.0.as_ptr()))?;
            let CWave { sample_rate, num_samples, num_channels, samples, .. } = *wave.as_ref();
            let usable = !samples.is_null() && num_samples > 0 && num_channels == 1 && sample_rate > 0;
            let waveform = usable.then(|| Waveform {
                samples: std::slice::from_raw_parts(samples, num_samples.unsigned_abs() as usize).to_vec(),
                rate: sample_rate.unsigned_abs(),
            });
            delete_wave(wave.as_ptr());
            waveform
        }
    }
}

/// Lowers the calling thread's priority by `steps` of niceness (0–19). On Linux niceness belongs to the thread.
pub(crate) fn lower_priority(steps: u8) {
    // SAFETY: `nice` takes and gives a number and touches no memory of ours.
    let reached = unsafe { nice(c_int::from(steps.min(19))) };
    tracing::debug!(niceness = reached, "a speech thread steps behind media");
}

/// Asked by whisper between two steps of a decode whether it should give up.
pub(crate) trait AskAbort {
    /// True ends the decode.
    fn abort(&self) -> bool;
}

/// Hands `watch` to a decode. The parameters must be used up before `watch` goes: `with` sees to it.
pub(crate) fn with_abort<W: AskAbort, R>(
    mut params: FullParams<'_, '_>,
    watch: &W,
    decode: impl FnOnce(FullParams<'_, '_>) -> R,
) -> R {
    unsafe extern "C" fn asked<W: AskAbort>(watch: *mut c_void) -> bool {
        // SAFETY: the pointer is the `&W` given below, alive until `decode` returns, and whisper calls back only
        // on the thread that decodes, before it returns.
        unsafe { (*watch.cast_const().cast::<W>()).abort() }
    }
    // SAFETY: `watch` outlives `decode`, which takes the parameters by value. (whisper-rs' own safe setter casts
    // the closure's box to the closure's type; hence this one.)
    unsafe {
        params.set_abort_callback(Some(asked::<W>));
        params.set_abort_callback_user_data(std::ptr::from_ref(watch).cast_mut().cast());
    }
    decode(params)
}

/// Sends what whisper.cpp and ggml print to tracing instead of stderr. Words a caller said may be in their debug
/// lines, so those go to TRACE, all others to DEBUG.
pub(crate) fn hook_whisper_log() {
    unsafe extern "C" fn line(level: c_uint, text: *const c_char, _: *mut c_void) {
        if text.is_null() || !is_heard(level) {
            return;
        }
        // SAFETY: not null, and both libraries pass a string that ends with a zero and lives through the call.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
        pass_on(level, text.trim());
    }
    // SAFETY: the callback is a plain function that lives for ever and unwinds nowhere.
    unsafe {
        whisper_log_set(Some(line), std::ptr::null_mut());
        ggml_log_set(Some(line), std::ptr::null_mut());
    }
}

/// Whether anybody listens at the level that a line of theirs goes to.
fn is_heard(level: c_uint) -> bool {
    if level == LEVEL_DEBUG {
        tracing::enabled!(target: "whisper", tracing::Level::TRACE)
    } else {
        tracing::enabled!(target: "whisper", tracing::Level::DEBUG)
    }
}

fn pass_on(level: c_uint, text: &str) {
    match (text.is_empty(), level) {
        (true, _) => {}
        (false, LEVEL_DEBUG) => tracing::trace!(target: "whisper", "{text}"),
        (false, _) => tracing::debug!(target: "whisper", "{text}"),
    }
}

type LogCallback = Option<unsafe extern "C" fn(c_uint, *const c_char, *mut c_void)>;

/// `GGML_LOG_LEVEL_DEBUG` (ggml.h).
const LEVEL_DEBUG: c_uint = 1;

const STRETCH: &CStr = c"duration_stretch";

/// flite's `cst_voice` (cst_voice.h, 2.2).
#[repr(C)]
struct CVoice {
    name: *const c_char,
    features: *mut c_void,
    ffunctions: *mut c_void,
    utt_init: Option<unsafe extern "C" fn(*mut c_void, *mut CVoice) -> *mut c_void>,
}

/// flite's `cst_wave` (cst_wave.h, 2.2).
#[repr(C)]
struct CWave {
    kind: *const c_char,
    sample_rate: c_int,
    num_samples: c_int,
    num_channels: c_int,
    samples: *mut i16,
}

unsafe extern "C" {
    fn flite_init() -> c_int;
    fn register_cmu_us_rms(folder: *const c_char) -> *mut CVoice;
    fn register_cmu_us_slt(folder: *const c_char) -> *mut CVoice;
    fn register_cmu_us_awb(folder: *const c_char) -> *mut CVoice;
    fn register_cmu_us_kal(folder: *const c_char) -> *mut CVoice;
    fn new_voice() -> *mut CVoice;
    fn feat_copy_into(from: *const c_void, into: *mut c_void) -> c_int;
    fn flite_get_param_float(features: *const c_void, name: *const c_char, otherwise: c_float) -> c_float;
    fn flite_feat_set_float(features: *mut c_void, name: *const c_char, value: c_float);
    fn flite_text_to_wave(text: *const c_char, voice: *mut CVoice) -> *mut CWave;
    fn delete_wave(wave: *mut CWave);
    fn whisper_log_set(callback: LogCallback, user: *mut c_void);
    fn ggml_log_set(callback: LogCallback, user: *mut c_void);
    fn nice(steps: c_int) -> c_int;
}
