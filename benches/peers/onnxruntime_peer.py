"""ONNX Runtime: a graph with the user part hoisted, in f32 and quantized by its own tools, run by IOBinding on one thread."""
import logging, os, tempfile
import numpy as np
import harness
import workload as wl


def graph(n):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = wl.load("weights.bin")
    table, first = harness.split(weights)
    nodes, constants = [], {}

    def const(name, values, dtype=np.float32):
        constants[name] = np.ascontiguousarray(values, dtype)
        return name

    def op(kind, inputs, out, **attributes):
        nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def dense(x, name, weight, bias, relu):
        y = op("Gemm", [x, const(f"{name}.w", weight), bias], name)
        return op("Relu", [y], f"{name}.relu") if relu else y

    def stored(x, name, suffix, relu):
        bias = const(f"{name}.b{suffix}", weights[f"{name}.b{suffix}"])
        return dense(x, f"{name}.{suffix}", weights[f"{name}.w{suffix}"], bias, relu)

    shape = lambda *s: const("shape." + ".".join(map(str, s)), s, np.int64)
    rows = lambda ids: op("Gather", [const("table", table), ids], f"{ids}.rows", axis=0)
    user = op("Reshape", [rows("user"), shape(1, 8 * wl.DIM)], "user.flat")
    history = op("ReduceMean", [rows("hist")], "hist.mean", axes=[0], keepdims=1)
    user = op("Concat", [user, history], "x.user", axis=1)
    candidate = op("Concat", [op("Reshape", [rows("cand"), shape(n, 10 * wl.DIM)], "cand.flat"), "dense"], "x.cand", axis=1)

    def both(name, relu):  # the user part, once a request, is the bias of the candidates' part
        of_user, of_candidate, bias = first[name]
        hoisted = dense(user, f"{name}.user", of_user, const(f"{name}.bias", bias), False)
        return dense(candidate, f"{name}.cand", of_candidate, hoisted, relu)

    experts = [stored(both(f"expert.{e}", True), f"expert.{e}", 2, True) for e in range(wl.EXPERTS)]
    experts = op("Reshape", [op("Concat", experts, "experts", axis=1), shape(n, wl.EXPERTS, wl.EXPERT_LAYERS[1])], "experts.3d")
    links = {"duration": "Softplus"}
    scores = []
    for t, task in enumerate(wl.TASKS):
        shares = op("Softmax", [both(f"gate.{t}", False)], f"shares.{t}", axis=1)
        shares = op("Reshape", [shares, shape(n, 1, wl.EXPERTS)], f"shares.{t}.3d")
        mixture = op("Reshape", [op("MatMul", [shares, experts], f"mixture.{t}"), shape(n, wl.EXPERT_LAYERS[1])], f"mixture.{t}.2d")
        logit = stored(stored(mixture, f"tower.{t}", 1, True), f"tower.{t}", 2, False)
        scores.append(op(links.get(task, "Sigmoid"), [logit], task))
    scores = op("Concat", scores, "scores", axis=1)
    fused = op("MatMul", [scores, const("fusion", weights["fusion.w"][:, None])], "fused")
    op("Concat", [scores, fused], "out", axis=1)

    value = helper.make_tensor_value_info
    ids, floats = TensorProto.INT32, TensorProto.FLOAT
    inputs = [value("user", ids, [8]), value("hist", ids, [wl.HISTORY]), value("cand", ids, [n, 10]), value("dense", floats, [n, wl.DENSE])]
    tensors = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    made = helper.make_graph(nodes, "mmoe", inputs, [value("out", floats, [n, 4])], tensors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def build(n, precision, path):
    import onnx
    from onnxruntime import quantization as q

    logging.disable(logging.WARNING)
    if precision == "fp32":
        onnx.save(graph(n), path)
        return

    class Calibration(q.CalibrationDataReader):  # other requests than those that are measured
        def __init__(self):
            requests = 8 if n > 1 else 256
            self.left = harness.feeds(wl.make_requests(n, np.random.default_rng(7), requests))

        def get_next(self):
            return next(self.left, None)

    with tempfile.TemporaryDirectory() as folder:
        floats = os.path.join(folder, "floats.onnx")
        onnx.save(graph(n), floats)
        # 7-bit weights: 8-bit ones saturate on CPUs without VNNI. Fusion and mixture stay float: both are tiny.
        common = dict(per_channel=True, reduce_range=True, weight_type=q.QuantType.QInt8, extra_options={"MatMulConstBOnly": True})
        if precision == "int8dyn":
            q.quantize_dynamic(floats, path, nodes_to_exclude=["fused"], **common)
        else:
            kept = ["fused", *(f"mixture.{t}" for t in range(len(wl.TASKS)))]
            q.quantize_static(floats, path, Calibration(), quant_format=q.QuantFormat.QDQ, activation_type=q.QuantType.QUInt8,
                              op_types_to_quantize=["Gemm", "MatMul", "Relu"], nodes_to_exclude=kept, **common)


def open_model(path, requests):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    bound = []
    for request in requests:
        binding = session.io_binding()
        for name, values in request.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values)))
        out = np.zeros((len(request["dense"]), 4), np.float32)
        binding.bind_ortvalue_output("out", ort.OrtValue.ortvalue_from_numpy(out))
        bound.append((binding, binding._iobinding))
    run_options, native = ort.RunOptions(), session._sess

    def run(q):
        binding, io = bound[q]
        native.run_with_iobinding(io, run_options)
        return Out(binding)

    return run


class Out:
    """Outputs stay where the runtime wrote them until somebody looks."""

    def __init__(self, binding):
        self.binding = binding

    def __array__(self, dtype=None, copy=None):
        return self.binding.get_outputs()[0].numpy().astype(dtype or np.float32)


if __name__ == "__main__":
    import onnxruntime  # so that loading a model does not load the library
    harness.main("onnxruntime", ["fp32", "int8dyn", "int8static"], build, open_model, "onnx")
