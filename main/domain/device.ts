/** What models can run on, by the names of ONNX Runtime's execution providers. */

export const DEVICES = ['auto', 'cpu', 'webgpu', 'cuda', 'dml', 'coreml'] as const;

/** A choice: 'auto' is the fastest that was found to compute correctly. */
export type Device = (typeof DEVICES)[number];

/** A device that a model can be on. */
export type RealDevice = Exclude<Device, 'auto'>;

/** What the trial of a device in a process of its own came to. */
export type Trial =
  | {
      readonly state: 'ready';
      /** Training steps in a second over those that the processor takes. */
      readonly speed: number;
      /** Largest difference from the processor's loss and gradients, relative to the largest magnitude in each. */
      readonly error: number;
    }
  | { readonly state: 'absent' | 'failed'; readonly reason: string };
