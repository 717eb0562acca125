using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Kubernetes.Querying;

/// <summary>The conditions of an expression as one tree over all their paths, so that an object is read once for all of them.</summary>
/// <remarks>
/// The subtree under <c>[*]</c> is merged into that of every <c>[n]</c> beside it. Hence there is exactly one node for every value,
/// and the walk needs no set of nodes.
/// </remarks>
internal sealed class FieldEvaluation
{
    private readonly ImmutableArray<FieldCondition> _conditions;
    private readonly Node _root;
    private readonly ulong _negated;
    private readonly ulong _positive;
    private readonly ulong _acceptsAbsent;

    public FieldEvaluation(ImmutableArray<FieldCondition> conditions)
    {
        _conditions = conditions;
        var root = new Node();
        for (int i = 0; i < conditions.Length; i++)
        {
            Node node = root;
            foreach (FieldStep step in conditions[i].Path.Steps)
            {
                node = node.Child(step);
            }

            node.Ends.Add(i);
            ulong bit = 1UL << i;
            _negated |= conditions[i].IsNegated ? bit : 0;
            _positive |= conditions[i].IsNegated ? 0 : bit;
            _acceptsAbsent |= conditions[i].AcceptsAbsent ? bit : 0;
        }

        root.MergeEvery();
        _root = root;
    }

    public bool Matches(ReadOnlySpan<byte> json, DateTimeOffset now)
    {
        var skim = new JsonSkim(json);
        var state = new State { Now = now };
        Walk(ref skim, _root, 0, ref state);

        // What was never seen with a value is absent, and absent is the empty text.
        ulong met = state.Met | (_acceptsAbsent & ~state.Present);
        return (met & _negated) == 0 && (met & _positive) == _positive;
    }

    /// <summary>Reads one value and all of it. Returns false once the outcome cannot change any more.</summary>
    private bool Walk(ref JsonSkim json, Node node, int depth, ref State state)
    {
        switch (json.Peek())
        {
            case (byte)'{':
                return TestContainer(node, ref state) && WalkObject(ref json, node, depth, ref state);
            case (byte)'[':
                return TestContainer(node, ref state) && WalkArray(ref json, node, depth, ref state);
            case (byte)'"':
                JsonText text = json.ReadString();
                return node.Ends.Count == 0 || TestString(node, text, ref state);
            default:
                ReadOnlySpan<byte> scalar = json.ReadScalar();
                return node.Ends.Count == 0 || TestScalar(node, scalar, ref state);
        }
    }

    private bool WalkObject(ref JsonSkim json, Node node, int depth, ref State state)
    {
        if (node.Properties.Count == 0)
        {
            json.Skip();
            return true;
        }

        RefuseDeeperThan(depth);
        if (!json.Enter((byte)'}'))
        {
            return true;
        }

        do
        {
            JsonText name = json.ReadName();
            Node? child = null;
            foreach ((byte[] known, Node candidate) in node.Properties)
            {
                if (name.Is(known))
                {
                    child = candidate;
                    break;
                }
            }

            if (child is null)
            {
                json.Skip();
            }
            else if (!Walk(ref json, child, depth + 1, ref state))
            {
                return false;
            }
        }
        while (json.Next((byte)'}'));
        return true;
    }

    private bool WalkArray(ref JsonSkim json, Node node, int depth, ref State state)
    {
        if (!node.HasElements)
        {
            json.Skip();
            return true;
        }

        RefuseDeeperThan(depth);
        if (!json.Enter((byte)']'))
        {
            return true;
        }

        int index = 0;
        do
        {
            if (node.At(index++) is not { } child)
            {
                json.Skip();
            }
            else if (!Walk(ref json, child, depth + 1, ref state))
            {
                return false;
            }
        }
        while (json.Next((byte)']'));
        return true;
    }

    private static void RefuseDeeperThan(int depth)
    {
        if (depth >= JsonLimits.Reader.MaxDepth)
        {
            throw new JsonException("The object is nested too deeply.");
        }
    }

    private bool TestContainer(Node node, ref State state) => node.Ends.Count == 0 || Test(node, ValueForm.Container, default, ref state);

    private bool TestString(Node node, JsonText text, ref State state)
    {
        if (!text.Escaped)
        {
            return Test(node, ValueForm.Text, text.Raw, ref state);
        }

        byte[] rented = ArrayPool<byte>.Shared.Rent(text.Raw.Length);
        try
        {
            return Test(node, ValueForm.Text, rented.AsSpan(0, text.Unescape(rented)), ref state);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private bool TestScalar(Node node, ReadOnlySpan<byte> scalar, ref State state) => scalar[0] switch
    {
        (byte)'n' when scalar.SequenceEqual("null"u8) => true,
        (byte)'t' when scalar.SequenceEqual("true"u8) => Test(node, ValueForm.Text, scalar, ref state),
        (byte)'f' when scalar.SequenceEqual("false"u8) => Test(node, ValueForm.Text, scalar, ref state),
        (byte)'-' or (>= (byte)'0' and <= (byte)'9') => Test(node, ValueForm.Number, scalar, ref state),
        _ => throw new JsonException("A value was expected."),
    };

    private bool Test(Node node, ValueForm form, ReadOnlySpan<byte> value, ref State state)
    {
        foreach (int end in node.Ends)
        {
            ulong bit = 1UL << end;
            state.Present |= bit;
            if ((state.Met & bit) != 0 || !Meets(_conditions[end], form, value, state.Now))
            {
                continue;
            }

            state.Met |= bit;
            if ((_negated & bit) != 0)
            {
                return false;
            }
        }

        return _negated != 0 || (state.Met & _positive) != _positive;
    }

    private static bool Meets(FieldCondition condition, ValueForm form, ReadOnlySpan<byte> value, DateTimeOffset now) => form switch
    {
        ValueForm.Text => condition.MeetsText(value, now),
        ValueForm.Number => condition.MeetsNumber(value, now),
        _ => condition.Operator is FieldOperator.Exists or FieldOperator.NotExists,
    };

    private enum ValueForm
    {
        Text,
        Number,
        Container,
    }

    private struct State
    {
        public ulong Met;
        public ulong Present;
        public DateTimeOffset Now;
    }

    private sealed class Node
    {
        private readonly SortedDictionary<int, Node> _indexed = [];
        private Node? _every;

        public List<(byte[] Name, Node Node)> Properties { get; } = [];

        public List<int> Ends { get; } = [];

        public bool HasElements => _every is not null || _indexed.Count > 0;

        public Node? At(int index) => _indexed.Count > 0 && _indexed.TryGetValue(index, out Node? node) ? node : _every;

        public Node Child(FieldStep step)
        {
            switch (step.Kind)
            {
                case FieldStepKind.Every:
                    return _every ??= new Node();
                case FieldStepKind.Index:
                    if (!_indexed.TryGetValue(step.Index, out Node? indexed))
                    {
                        _indexed[step.Index] = indexed = new Node();
                    }

                    return indexed;
                default:
                    return Property(Encoding.UTF8.GetBytes(step.Name));
            }
        }

        public void MergeEvery()
        {
            foreach ((_, Node child) in Properties)
            {
                child.MergeEvery();
            }

            if (_every is { } every)
            {
                foreach (Node indexed in _indexed.Values)
                {
                    indexed.TakeIn(every);
                }
            }

            foreach (Node indexed in _indexed.Values)
            {
                indexed.MergeEvery();
            }

            _every?.MergeEvery();
        }

        private Node Property(byte[] name)
        {
            foreach ((byte[] known, Node node) in Properties)
            {
                if (known.AsSpan().SequenceEqual(name))
                {
                    return node;
                }
            }

            var added = new Node();
            Properties.Add((name, added));
            return added;
        }

        private void TakeIn(Node other)
        {
            Ends.AddRange(other.Ends.Except(Ends));
            foreach ((byte[] name, Node node) in other.Properties)
            {
                Property(name).TakeIn(node);
            }

            foreach ((int index, Node node) in other._indexed)
            {
                Child(FieldStep.At(index)).TakeIn(node);
            }

            if (other._every is { } every)
            {
                Child(FieldStep.Every).TakeIn(every);
            }
        }
    }
}
