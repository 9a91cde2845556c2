"""LiteRT (TensorFlow Lite) with its XNNPACK delegate, one thread. The model is written by the schema that ai-edge-litert has, so
that no TensorFlow is needed: f32, and int8 weights of the dense layers with f32 activations ("dynamic range")."""
import numpy as np
import harness
import workload as wl


class Writer:
    def __init__(self):
        from ai_edge_litert import schema_py_generated as schema

        self.s = schema
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.buffers, self.codes = [schema.BufferT()], []

    def tensor(self, name, shape, kind, data=None, scales=None):
        t = self.s.TensorT()
        t.name, t.shape, t.type, t.buffer = name, list(shape), kind, 0
        if data is not None:
            buffer = self.s.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(buffer)
            t.buffer = len(self.buffers) - 1
        if scales is not None:
            t.quantization = self.s.QuantizationParametersT()
            t.quantization.scale, t.quantization.zeroPoint = list(scales), [0] * len(scales)
            t.quantization.quantizedDimension = 0
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def floats(self, shape, name=""):
        return self.tensor(name, shape, self.s.TensorType.FLOAT32)

    def const(self, values, dtype=np.float32):
        values = np.asarray(values, dtype)
        kind = self.s.TensorType.FLOAT32 if dtype == np.float32 else self.s.TensorType.INT32
        return self.tensor("", values.shape, kind, values)

    def weight(self, values, int8):
        if not int8:
            return self.const(values)
        scales = np.abs(values).max(1) / 127.0
        return self.tensor("", values.shape, self.s.TensorType.INT8, np.rint(values / scales[:, None]).astype(np.int8), scales)

    def op(self, kind, inputs, shape, options=None, name=""):
        code = getattr(self.s.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        out = self.floats(shape, name)
        o = self.s.OperatorT()
        o.opcodeIndex, o.inputs, o.outputs = self.codes.index(code), list(inputs), [out]
        if options is not None:
            o.builtinOptions = options
            o.builtinOptionsType = getattr(self.s.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(o)
        return out

    def options(self, kind, **values):
        made = getattr(self.s, f"{kind}OptionsT")()
        for key, value in values.items():
            assert hasattr(made, key), (kind, key)
            setattr(made, key, value)
        return made

    def finish(self, inputs, outputs):
        import flatbuffers

        self.graph.inputs, self.graph.outputs = inputs, outputs
        model = self.s.ModelT()
        model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [self.graph], self.buffers, []
        # GATHER before version 2 and FULLY_CONNECTED before 5 do not know int8; a later version costs nothing.
        for builtin in self.codes:
            code = self.s.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 5 if builtin == self.s.BuiltinOperator.FULLY_CONNECTED else 1
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return builder.Output()


def build(n, precision, path):
    w = Writer()
    weights = wl.load("weights.bin")
    table, first = harness.split(weights)
    int8, relu = precision == "int8dyn", w.s.ActivationFunctionType.RELU
    none = w.s.ActivationFunctionType.NONE
    width = {}  # of tensors, by index: [rows, columns]

    def make(kind, inputs, rows, columns, options=None, name=""):
        out = w.op(kind, inputs, [rows, columns], options, name)
        width[out] = (rows, columns)
        return out

    def dense(x, weight, bias, activation=none):
        inputs = [x, w.weight(np.ascontiguousarray(weight.T), int8), w.const(bias)]
        options = w.options("FullyConnected", fusedActivationFunction=activation, keepNumDims=True)
        return make("FULLY_CONNECTED", inputs, width[x][0], weight.shape[1], options)

    def pair(kind, a, b, activation=none):
        options = w.options({"ADD": "Add", "MUL": "Mul"}[kind], fusedActivationFunction=activation)
        columns = max(width[a][1], width[b][1])
        return make(kind, [a, b], max(width[a][0], width[b][0]), columns, options)

    concat = lambda parts, name="": make("CONCATENATION", parts, width[parts[0]][0], sum(width[p][1] for p in parts),
                                         w.options("Concatenation", axis=1, fusedActivationFunction=none), name)
    table = w.const(table)
    inputs = {name: w.tensor(name, shape, w.s.TensorType.INT32) for name, shape in (("user", [8]), ("hist", [wl.HISTORY]), ("cand", [n, 10]))}
    inputs["dense"] = w.floats([n, wl.DENSE], "dense")
    width[inputs["dense"]] = (n, wl.DENSE)
    gather = lambda name, shape: w.op("GATHER", [table, inputs[name]], shape, w.options("Gather", axis=0))
    flat = lambda x, *shape: make("RESHAPE", [x, w.const(shape, np.int32)], *shape, w.options("Reshape", newShape=list(shape)))
    history = make("MEAN", [gather("hist", [wl.HISTORY, wl.DIM]), w.const([0], np.int32)], 1, wl.DIM, w.options("Reducer", keepDims=True))
    user = concat([flat(gather("user", [8, wl.DIM]), 1, 8 * wl.DIM), history])
    candidate = concat([flat(gather("cand", [n, 10, wl.DIM]), n, 10 * wl.DIM), inputs["dense"]])

    def both(name, activation):  # the user part once a request
        of_user, of_candidate, bias = first[name]
        return pair("ADD", dense(candidate, of_candidate, np.zeros_like(bias)), dense(user, of_user, bias), activation)

    stored = lambda x, name, suffix, activation: dense(x, weights[f"{name}.w{suffix}"], weights[f"{name}.b{suffix}"], activation)
    experts = [stored(both(f"expert.{e}", relu), f"expert.{e}", 2, relu) for e in range(wl.EXPERTS)]
    scores = []
    for t, task in enumerate(wl.TASKS):
        shares = make("SOFTMAX", [both(f"gate.{t}", none)], n, wl.EXPERTS, w.options("Softmax", beta=1.0))
        mixture = None
        for e, expert in enumerate(experts):
            begin, size = w.const([0, e], np.int32), w.const([n, 1], np.int32)
            share = make("SLICE", [shares, begin, size], n, 1, w.options("Slice"))
            part = pair("MUL", expert, share)
            mixture = part if mixture is None else pair("ADD", mixture, part)
        logit = stored(stored(mixture, f"tower.{t}", 1, relu), f"tower.{t}", 2, none)
        one = lambda kind, x, options=None: make(kind, [x], n, 1, options)
        if task == "duration":  # softplus(y) = max(y, 0) + ln(1 + exp(-|y|))
            small = one("EXP", one("NEG", one("ABS", logit)))
            ones = w.const([[1.0]])
            width[ones] = (1, 1)
            scores.append(pair("ADD", one("RELU", logit), one("LOG", pair("ADD", small, ones))))
        else:
            scores.append(one("LOGISTIC", logit))
    scores = concat(scores)
    fusion = [scores, w.const(weights["fusion.w"][None, :]), w.const([0.0])]
    fused = make("FULLY_CONNECTED", fusion, n, 1, w.options("FullyConnected", keepNumDims=True))
    out = concat([scores, fused], "out")
    with open(path, "wb") as file:
        file.write(w.finish(list(inputs.values()), [out]))


def open_model(path, requests):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    index = {d["name"]: d["index"] for d in interpreter.get_input_details()}
    out = interpreter.get_output_details()[0]["index"]
    native = interpreter._interpreter
    fed = [[(index[name], np.ascontiguousarray(values)) for name, values in request.items()] for request in requests]

    def run(q):
        for tensor, values in fed[q]:
            native.SetTensor(tensor, values)
        native.Invoke()
        return native.GetTensor(out)

    return run


if __name__ == "__main__":
    import ai_edge_litert.interpreter  # so that loading a model does not load the library
    harness.main("litert", ["fp32", "int8dyn"], build, open_model, "tflite")
