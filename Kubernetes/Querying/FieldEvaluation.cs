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
        var reader = new Utf8JsonReader(json, JsonLimits.Reader);
        reader.Read();
        var state = new State { Now = now };
        Walk(ref reader, _root, ref state);

        // What was never seen with a value is absent, and absent is the empty text.
        ulong met = state.Met | (_acceptsAbsent & ~state.Present);
        return (met & _negated) == 0 && (met & _positive) == _positive;
    }

    /// <summary>Reads one value, leaves the reader on its last token. Returns false once the outcome cannot change any more.</summary>
    private bool Walk(ref Utf8JsonReader reader, Node node, ref State state)
    {
        if (node.Ends.Count > 0 && reader.TokenType != JsonTokenType.Null && !Test(ref reader, node, ref state))
        {
            return false;
        }

        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject when node.Properties.Count > 0:
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    Node? child = null;
                    foreach ((byte[] name, Node candidate) in node.Properties)
                    {
                        if (reader.ValueTextEquals(name))
                        {
                            child = candidate;
                            break;
                        }
                    }

                    reader.Read();
                    if (child is null)
                    {
                        reader.Skip();
                    }
                    else if (!Walk(ref reader, child, ref state))
                    {
                        return false;
                    }
                }

                return true;
            case JsonTokenType.StartArray when node.HasElements:
                for (int index = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; index++)
                {
                    Node? child = node.At(index);
                    if (child is null)
                    {
                        reader.Skip();
                    }
                    else if (!Walk(ref reader, child, ref state))
                    {
                        return false;
                    }
                }

                return true;
            default:
                reader.Skip();
                return true;
        }
    }

    private bool Test(ref Utf8JsonReader reader, Node node, ref State state)
    {
        foreach (int end in node.Ends)
        {
            ulong bit = 1UL << end;
            state.Present |= bit;
            if ((state.Met & bit) != 0 || !Meets(_conditions[end], ref reader, state.Now))
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

    private static bool Meets(FieldCondition condition, ref Utf8JsonReader reader, DateTimeOffset now)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.String when reader.ValueIsEscaped:
                byte[] rented = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
                try
                {
                    return condition.MeetsText(rented.AsSpan(0, reader.CopyString(rented)), now);
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(rented);
                }

            case JsonTokenType.String:
                return condition.MeetsText(reader.ValueSpan, now);
            case JsonTokenType.Number:
                return condition.MeetsNumber(reader.ValueSpan, now);
            case JsonTokenType.True:
                return condition.MeetsText("true"u8, now);
            case JsonTokenType.False:
                return condition.MeetsText("false"u8, now);
            default:
                return condition.Operator is FieldOperator.Exists or FieldOperator.NotExists;
        }
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
