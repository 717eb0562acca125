using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace MultiCluster.Kubernetes.Configuration;

/// <summary>Reads YAML whose shape a stranger chose: what would exhaust the stack or the processor is refused before it is built.</summary>
/// <remarks>
/// The object model is built by recursion, and a stack that overflows ends the process; so the depth is bounded. A key that is no
/// plain text is hashed with all that its aliases stand for, which a few nested aliases make endless; so keys are plain texts.
/// </remarks>
internal sealed class BoundedYaml(IParser inner) : IParser
{
    // A kubeconfig is six levels deep; the extensions that tools put into it are a few more.
    private const int MaxDepth = 64;

    // One for each open collection: in a mapping, whether a key comes next.
    private readonly Stack<(bool IsMapping, bool KeyIsNext)> _open = new();

    public ParsingEvent? Current => inner.Current;

    public bool MoveNext()
    {
        if (!inner.MoveNext())
        {
            return false;
        }

        switch (inner.Current)
        {
            case Scalar:
                Begin(isText: true);
                break;
            case AnchorAlias:
                Begin(isText: false);
                break;
            case MappingStart:
                Begin(isText: false);
                Open(isMapping: true);
                break;
            case SequenceStart:
                Begin(isText: false);
                Open(isMapping: false);
                break;
            case MappingEnd or SequenceEnd:
                _open.Pop();
                break;
        }

        return true;
    }

    private void Open(bool isMapping)
    {
        if (_open.Count >= MaxDepth)
        {
            throw new YamlShapeException(inner.Current!.Start, $"It is nested more than {MaxDepth} levels deep, which no kubeconfig is.");
        }

        _open.Push((isMapping, isMapping));
    }

    private void Begin(bool isText)
    {
        if (_open.TryPop(out (bool IsMapping, bool KeyIsNext) around))
        {
            if (around.KeyIsNext && !isText)
            {
                throw new YamlShapeException(inner.Current!.Start, "It has a key that is no plain text, which no kubeconfig has.");
            }

            _open.Push((around.IsMapping, around.IsMapping && !around.KeyIsNext));
        }
    }
}

/// <summary>YAML, but of a shape that is refused. The message quotes nothing of the text.</summary>
internal sealed class YamlShapeException(Mark at, string message) : YamlException(at, at, message);
