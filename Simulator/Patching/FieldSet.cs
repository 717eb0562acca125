using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Patching;

/// <summary>A set of field paths as a tree, in the form and the notation of FieldsV1.</summary>
/// <remarks>
/// Steps are written as on the wire: <c>f:name</c> a field, <c>k:{"name":"x"}</c> an item by its keys, <c>v:"x"</c> an item by its value.
/// Not thread-safe. Ordinal order of the steps is the order of the wire format.
/// </remarks>
internal sealed class FieldSet
{
    private static readonly JsonSerializerOptions Plain = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly SortedDictionary<string, FieldSet> _children = new(StringComparer.Ordinal);

    /// <summary>True when the path of this node itself belongs to the set.</summary>
    public bool IsMember { get; private set; }

    public bool IsEmpty => !IsMember && _children.Count == 0;

    public IEnumerable<KeyValuePair<string, FieldSet>> Children => _children;

    public static string FieldStep(string name) => "f:" + name;

    public static string ValueStep(JsonNode? value) => "v:" + (value?.ToJsonString(Plain) ?? "null");

    public static string KeyStep(IEnumerable<KeyValuePair<string, JsonNode?>> keys)
    {
        JsonObject ordered = [];
        foreach ((string key, JsonNode? value) in keys.OrderBy(k => k.Key, StringComparer.Ordinal))
        {
            ordered[key] = value?.DeepClone();
        }

        return "k:" + ordered.ToJsonString(Plain);
    }

    public FieldSet? Child(string step) => _children.GetValueOrDefault(step);

    public void Insert(IReadOnlyList<string> path)
    {
        FieldSet node = this;
        foreach (string step in path)
        {
            if (!node._children.TryGetValue(step, out FieldSet? next))
            {
                node._children[step] = next = new FieldSet();
            }

            node = next;
        }

        node.IsMember = true;
    }

    public bool Contains(IReadOnlyList<string> path) => Find(path) is { IsMember: true };

    /// <summary>True when the path itself or something beneath it belongs to the set.</summary>
    public bool Touches(IReadOnlyList<string> path) => Find(path) is { IsEmpty: false };

    public FieldSet Clone() => Combine(this, null, (left, _) => left);

    public FieldSet Union(FieldSet other) => Combine(this, other, (left, right) => left || right);

    public FieldSet Except(FieldSet other) => Combine(this, other, (left, right) => left && !right);

    public FieldSet Intersect(FieldSet other) => Combine(this, other, (left, right) => left && right);

    public bool SetEquals(FieldSet other) =>
        IsMember == other.IsMember && _children.Count == other._children.Count
        && _children.All(c => other._children.TryGetValue(c.Key, out FieldSet? twin) && c.Value.SetEquals(twin));

    /// <summary>Removes the path and everything beneath it.</summary>
    public void Cut(params ReadOnlySpan<string> path)
    {
        if (path.Length == 1)
        {
            _children.Remove(path[0]);
        }
        else if (_children.TryGetValue(path[0], out FieldSet? child))
        {
            child.Cut(path[1..]);
            if (child.IsEmpty)
            {
                _children.Remove(path[0]);
            }
        }
    }

    /// <summary>Removes the path itself, and keeps what is beneath.</summary>
    public void Unmark(params ReadOnlySpan<string> path)
    {
        if (path.Length == 0)
        {
            IsMember = false;
        }
        else if (_children.TryGetValue(path[0], out FieldSet? child))
        {
            child.Unmark(path[1..]);
            if (child.IsEmpty)
            {
                _children.Remove(path[0]);
            }
        }
    }

    /// <summary>All members, parents before their children.</summary>
    public List<string[]> Members()
    {
        List<string[]> found = [];
        Collect([], found);
        return found;
    }

    public JsonObject ToJson()
    {
        JsonObject json = [];
        if (IsMember && _children.Count > 0)
        {
            json["."] = new JsonObject();
        }

        foreach ((string step, FieldSet child) in _children)
        {
            json[step] = child.ToJson();
        }

        return json;
    }

    /// <exception cref="PatchFailedException">The tree holds something other than objects.</exception>
    public static FieldSet FromJson(JsonObject json)
    {
        FieldSet set = new();
        foreach ((string step, JsonNode? child) in json)
        {
            if (step == ".")
            {
                set.IsMember = true;
            }
            else if (child is JsonObject nested)
            {
                FieldSet inner = FromJson(nested);
                inner.IsMember |= nested.Count == 0;
                set._children[step] = inner;
            }
            else
            {
                throw new PatchFailedException(PatchFailure.Malformed, $"fieldsV1 has a value at {step} where only objects may be.");
            }
        }

        return set;
    }

    /// <summary>The path as people read it: <c>.spec.containers[name="main"].image</c>.</summary>
    public static string Display(IEnumerable<string> path)
    {
        StringBuilder text = new();
        foreach (string step in path)
        {
            string rest = step[2..];
            switch (step[0])
            {
                case 'f':
                    text.Append('.').Append(rest);
                    break;
                case 'k':
                    var keys = (JsonObject)JsonNode.Parse(rest)!;
                    text.Append('[').AppendJoin(',', keys.Select(k => $"{k.Key}={k.Value?.ToJsonString(Plain)}")).Append(']');
                    break;
                case 'v':
                    text.Append("[=").Append(rest).Append(']');
                    break;
                default:
                    text.Append('[').Append(rest).Append(']');
                    break;
            }
        }

        return text.ToString();
    }

    private FieldSet? Find(IReadOnlyList<string> path)
    {
        FieldSet? node = this;
        for (int i = 0; i < path.Count && node is not null; i++)
        {
            node = node.Child(path[i]);
        }

        return node;
    }

    private void Collect(List<string> path, List<string[]> found)
    {
        if (IsMember)
        {
            found.Add([.. path]);
        }

        foreach ((string step, FieldSet child) in _children)
        {
            path.Add(step);
            child.Collect(path, found);
            path.RemoveAt(path.Count - 1);
        }
    }

    private static FieldSet Combine(FieldSet? left, FieldSet? right, Func<bool, bool, bool> rule)
    {
        FieldSet result = new() { IsMember = rule(left?.IsMember ?? false, right?.IsMember ?? false) };
        IEnumerable<string> steps = (left?._children.Keys ?? Enumerable.Empty<string>()).Union(right?._children.Keys ?? Enumerable.Empty<string>(), StringComparer.Ordinal);
        foreach (string step in steps)
        {
            FieldSet child = Combine(left?.Child(step), right?.Child(step), rule);
            if (!child.IsEmpty)
            {
                result._children[step] = child;
            }
        }

        return result;
    }
}
