// Shapes of the API's answers, as far as the page uses them, and of what its modules share.

export interface ModelState {
  name: string;
  version: number;
  state: "READY" | "LOADING" | "UNAVAILABLE";
  available: boolean;
  reason: string | null;
  device: string | null;
  kernels: string | null;
  default: boolean;
  default_version: boolean;
  labels: string[];
}

export interface ReceptiveField {
  size: number;
  width: number | null;
  stride: number;
  offset: number;
  stride_across?: number | null;
  offset_across?: number | null;
  everywhere?: boolean;
}

export interface LayerCard {
  name: string;
  channels: number;
  receptive_field: ReceptiveField;
  signed: boolean;
  labels: string[] | null;
}

export interface Accuracy {
  dataset: string;
  note: string;
  images: number;
  accuracy: number;
  low: number;
  high: number;
  confusion: number[][] | null;
}

export interface ModelGraph {
  model: string;
  version: number;
  nodes: { kind: "image" | "layer" | "join" | "logits"; name: string; shape: number[] | null; parameters: number }[];
  edges: { source: number; target: number; operators: string[] }[];
}

export interface ModelCard {
  name: string;
  version: number;
  description: string;
  sha256: string;
  family: string;
  parameters: number;
  input: { width: number; height: number; channels: number; resize: boolean; fixed?: boolean };
  labels: string[];
  layers: LayerCard[];
  class_map: string | null;
  accuracy: Accuracy | null;
  equivariance: { shift: number; as_served: { class_kept: number } } | null;
  licence: string;
}

export interface ModelDetail extends ModelState {
  card: ModelCard | null;
}

export interface Ranked {
  label: string;
  index: number;
  probability?: number;
  score?: number;
}

export interface Prediction {
  model: string;
  version: number;
  predictions: { name: string; width: number; height: number; classes: Ranked[] }[];
  timing: { decode_ms: number; inference_ms: number };
}

export interface Peak {
  x: number;
  y: number;
  width: number;
  height: number;
  score: number;
}

export interface LayerAnswer {
  name: string;
  shape: [number, number, number];
  receptive_field: ReceptiveField;
  signed: boolean;
  energies: { channel: number; energy: number }[];
  heatmaps: { channel: number; label: string | null; low: number; high: number; png: string }[];
  match: { low: number; high: number; png: string; peaks: Peak[] } | null;
}

export interface ClassMapAnswer {
  label: string;
  index: number;
  mean: number;
  maximum: number;
  pooling: "mean" | "maximum" | null;
  bias: number;
  logit: number;
  method?: string;
}

export interface Activations {
  model: string;
  version: number;
  width: number;
  height: number;
  analysed_width: number;
  analysed_height: number;
  analysed_region?: Area;
  classes: Ranked[];
  layers: LayerAnswer[];
  class_map: ClassMapAnswer | null;
  timing: { decode_ms: number; inference_ms: number };
}

export interface FoundMatch {
  score: number;
  x: number;
  y: number;
  width: number;
  height: number;
  angle: number;
  scale: number;
  corners: [number, number][];
  evidence: number;
  present: boolean;
}

export interface Matches {
  width: number;
  height: number;
  matches: FoundMatch[];
  timing: { decode_ms: number; match_ms: number };
}

/** Numbers of a NumPy file: `data` in C order. */
export interface NumberArray {
  shape: number[];
  data: Float32Array | Float64Array | Int32Array | Uint8Array;
}

/** A rectangle in pixels of the picture as it was sent. */
export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** One map (H, W) and where its cells lie in the picture. */
export interface PlacedMap {
  values: Float32Array;
  rows: number;
  columns: number;
  area: Area;
  signed: boolean;
  title: string;
  /** Largest value of the scale, where that is not the largest of the map. */
  limit?: number;
}

/** Maps (C, H, W) of one layer. */
export interface LayerMaps {
  layer: string;
  channels: number[];
  rows: number;
  columns: number;
  data: Float32Array;
  energies: number[];
  signed: boolean;
  field: ReceptiveField;
  area: Area;
  complete: boolean;
}

/** What a channel of a layer compares patches with. */
export interface LayerKernel {
  layer: string;
  channel: number;
  operator: "Conv" | "SharpenedCosineSimilarity";
  kernel: number[][][];
  first_input: number;
  bias: number | null;
  p: number | null;
  q: number | null;
  strides: [number, number];
  dilations: [number, number];
  pads: [number, number, number, number] | null;
  after: string[];
}

/** What the kernels of a layer are laid over (C, H, W), once it has come, or why it does not come. */
export interface KernelInput {
  maps: LayerMaps;
  values: NumberArray | null;
  why: string;
}

export interface Scale {
  low: number;
  high: number;
  signed: boolean;
}

/** A box that was found: its corners in the picture, and what is known of it. */
export interface Find {
  corners: [number, number][];
  score: number;
  evidence: number | null;
  present: boolean | null;
  own: boolean;
}

/** What was found in the pixels or in one layer. */
export interface Finds {
  where: string;
  finds: Find[];
  map: PlacedMap | null;
  milliseconds: number | null;
}

export interface Picture {
  file: Blob;
  name: string;
  address: string;
  image: HTMLImageElement;
  width: number;
  height: number;
  /** First digits of the SHA-256. */
  digest: string;
  /** All of them; "" where the browser cannot say. */
  sha256: string;
  sample: string;
}

/** Everything that an address restores, but for the picture. */
export interface View {
  model: string;
  version: string;
  other: string;
  size: string;
  layer: string;
  channel: number;
  label: string;
  box: string;
  at: string;
  shown: "nothing" | "channel" | "class" | "similarity" | "match";
  where: string;
  scale: "channel" | "layer" | "network";
  magnitude: boolean;
  opacity: number;
  threshold: number;
  method: string;
  angles: string;
  scales: string;
  top: number;
  least: string;
  p: number;
  q: number;
}
